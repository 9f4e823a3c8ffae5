"""An S3 server that checks signatures: Swift with its S3 interface, the whole of it in one process, below one folder.

Arguments: folder, user, secret. Prints its port, and ends with its standard input.
"""

import array
import os
import sys

import eventlet
import eventlet.tpool

eventlet.monkey_patch()

from eventlet import wsgi
from swift.common import utils
from swift.common.ring import RingData

folder, user, secret = sys.argv[1:4]
os.makedirs(os.path.join(folder, 'dev', 'd1'))
with open(os.path.join(folder, 'swift.conf'), 'w') as file:
    file.write('[swift-hash]\nswift_hash_path_suffix = test\n')
utils.set_swift_dir(folder)
utils.validate_configuration()

# These read the configuration as they are imported.
from swift.account.server import AccountController
from swift.common.middleware.s3api.s3request import S3Request
from swift.common.wsgi import loadapp
from swift.container.server import ContainerController
from swift.obj.server import ObjectController

validate = S3Request._validate_headers


def validate_conditional(self):
    """Swift knows If-None-Match, and its S3 interface of today refuses it before it gets there."""
    names = ('HTTP_IF_MATCH', 'HTTP_IF_NONE_MATCH') if self.method == 'PUT' else ()
    kept = {name: self.environ.pop(name) for name in names if name in self.environ}
    validate(self)
    self.environ.update(kept)


S3Request._validate_headers = validate_conditional

controllers = {
    'account': AccountController,
    'container': ContainerController,
    'object': ObjectController,
}
settings = {
    'devices': os.path.join(folder, 'dev'),
    'mount_check': 'false',
    'swift_dir': folder,
}
for name, controller in controllers.items():
    listener = eventlet.listen(('127.0.0.1', 0))
    port = listener.getsockname()[1]
    place = {'ip': '127.0.0.1', 'port': port, 'replication_ip': '127.0.0.1', 'replication_port': port}
    device = {'id': 0, 'region': 1, 'zone': 1, 'weight': 1, 'device': 'd1', **place}
    ring = RingData([array.array('H', [0, 0])], [device], 31)
    ring.save(os.path.join(folder, name + '.ring.gz'))
    eventlet.spawn(wsgi.server, listener, controller(settings), log_output=False)

configuration = os.path.join(folder, 'proxy.conf')
with open(configuration, 'w') as file:
    file.write(f"""[DEFAULT]
swift_dir = {folder}
[pipeline:main]
pipeline = catch_errors s3api tempauth proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:s3api]
use = egg:swift#s3api
[filter:tempauth]
use = egg:swift#tempauth
user_{user.replace(':', '_')} = {secret} .admin
""")
listener = eventlet.listen(('127.0.0.1', 0))
pipeline = loadapp(configuration)


class Memory:
    """In place of memcached."""

    def __init__(self):
        self.values = {}

    def get(self, key, *_, **__):
        return self.values.get(key)

    def set(self, key, value, *_, **__):
        self.values[key] = value

    def incr(self, key, delta=1, **_):
        self.values[key] = int(self.values.get(key, 0)) + delta
        return self.values[key]

    def delete(self, key, *_, **__):
        self.values.pop(key, None)


memory = Memory()


def app(environment, start_response):
    environment['swift.cache'] = memory
    return pipeline(environment, start_response)


print(listener.getsockname()[1], flush=True)


def end_with_parent():
    eventlet.tpool.execute(sys.stdin.read)
    os._exit(0)


eventlet.spawn(end_with_parent)
wsgi.server(listener, app, log_output=False)
