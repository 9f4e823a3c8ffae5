/**
 * Whether a text can be the name of a repository, and of a file here (docs/format.md, 10). The one rule for
 * manifests, command lines, attestations and the state.
 */
export function isRepositoryName(text: string): boolean {
  return /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,59}$/.test(text);
}
