# SPDX-License-Identifier: GPL-2.0-only
# Sourced: where the suites are.
if [ "$(id -u)" -eq 0 ]; then cache=/var/cache/modbpf-upstream; else cache=${XDG_CACHE_HOME:-$HOME/.cache}/modbpf-upstream; fi
cache=${MODBPF_UPSTREAM_CACHE:-$cache}
