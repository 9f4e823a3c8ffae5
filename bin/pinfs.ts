#!/usr/bin/env node
import { frugalArguments, isFrugal } from '../lib/machine/address-space.js';

async function start(): Promise<void> {
  // Before anything else is loaded: it is loaded again.
  if (!isFrugal()) {
    const { restart } = await import('../lib/machine/restart.js');
    restart(frugalArguments());
  }
  const { main } = await import('./main.js');
  await main();
}

void start();
