#!/bin/sh
# Installs what serving needs into a new folder: sh container/install.sh FOLDER [EXTRA …]
#
# The Containerfile runs this, and so does `make image-folder`, where there is no container tool. Afterwards nothing in
# the folder has to be written: bytecode is compiled, and so are the loops of the engine on bits where the extra
# `engines` is installed. What is written while it serves goes into TENFOLD_DATA. An image is the folder where it was
# installed: the environment in it cannot be moved.
set -eu
umask 022 # another user will read it
source=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:?the folder to make}
shift
python=${PYTHON:-python3.11}
export PYTHONDONTWRITEBYTECODE=1
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT

mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
(cd "$source" && "$python" -m web.shipping.files "$folder")

# uv, or else pip, from an environment of its own, which is thrown away.
"$python" -m venv "$tools"
version=$(sed -n 's/^UV := //p' "$source/Makefile")
"$python" -m venv --without-pip "$folder/.venv"
own=$folder/.venv/bin/python
"$python" - "$source/pyproject.toml" "$@" >"$tools/extras.txt" <<'END'
import sys, tomllib
with open(sys.argv[1], "rb") as file:
    extras = tomllib.load(file)["project"]["optional-dependencies"]
for name in sys.argv[2:]:
    print(*extras[name], sep="\n")
END
set -- --quiet --require-hashes -r "$source/requirements.lock"
# The extras' versions and hashes, and those of all that they bring along, stand in the lock of everything.
if [ -s "$tools/extras.txt" ]; then set -- "$@" -r "$tools/extras.txt" -c "$source/requirements-dev.lock"; fi
pip="$tools/bin/python -m pip --disable-pip-version-check"
if ! { $pip install --quiet "uv==$version" && "$tools/bin/uv" pip install --link-mode copy --python "$own" "$@"; } \
    2>"$tools/log"; then
    tail -n 5 "$tools/log" >&2
    echo "uv cannot install here: pip does, which takes longer …" >&2
    $pip --python "$own" install --no-compile "$@"
fi
find "$folder/.venv/lib" -type d -name tests -prune -exec rm -r {} + # of packages, 45 MB

printf '#!%s\nimport sys\nsys.path.insert(0, "%s")\nfrom tenfold import main\nsys.exit(main())\n' "$own" "$folder" \
    >"$folder/.venv/bin/tenfold"
chmod 755 "$folder/.venv/bin/tenfold"

# Gradio writes files beside its own when the desk is drawn first, and they are compiled too. The scorer is opened, which
# scores the release's golden applications. Unchecked: a copy may change files' times.
cd "$folder"
"$own" - <<'END'
from inference.scorer import open_scorer
from inference.settings import Settings
from web.server import create_app
import app  # noqa: F401

nothing = {f"TENFOLD_{name}": "off" for name in ("LOG", "SECURITY_LOG", "LEDGER", "USERS", "BATCH")}
settings = Settings.from_environment(nothing)
create_app(open_scorer(settings), settings)
END
"$own" -m compileall -q -j 0 --invalidation-mode unchecked-hash .
if "$own" -c 'import numba' 2>/dev/null; then "$own" -m inference compile; fi
