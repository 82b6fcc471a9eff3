"""Settings from any flags, environment and file are checked settings, or ConfigurationInvalid that shows no secret."""

from __future__ import annotations

import tempfile
from pathlib import Path

from holdfast import config
from holdfast.core.errors import ConfigurationInvalid

SEEDS = (
    b"port=5000\nHOLDFAST_HOST=::1\nlog_level = 'debug'\n",
    b"max_connections=7\nHOLDFAST_BOOTSTRAP_SECRET_ACCESS_KEY=hunter2hunter2\naccount_id = '1'",
    b"\n\nregion = 5\n[a]\nb = 1\n",
    b"login=digest\n\n",
)
WORDS = (
    *(one.name.encode() for one in config.TABLE),
    b"HOLDFAST_",
    b"=",
    b" = '",
    b"'\n",
    b"[",
    b"65536",
    b"\xff",
    b"hunter2",
)
COVERS = ("holdfast/config.py",)
PARSERS = ("config.load",)


def check(data: bytes) -> None:
    """Read one flag, one variable, and the rest as a file."""
    flag, variable, *rest = [*data.split(b"\n", 2), b"", b""][:3]
    name, _, value = flag.decode("latin-1").partition("=")
    key, _, content = variable.decode("latin-1").partition("=")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "holdfast.toml")
        file.write_bytes(b"\n".join(rest))
        try:
            settings = config.load({name: value}, {key: content}, file)
        except ConfigurationInvalid as error:
            assert key != "HOLDFAST_BOOTSTRAP_SECRET_ACCESS_KEY" or len(content) < 8 or content not in error.message
            return
    assert 0 <= settings.port <= 65_535
    assert len(settings.account_id) == 12
