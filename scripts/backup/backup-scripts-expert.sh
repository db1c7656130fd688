#!/bin/sh
# The commands of crontabs: backup_complete, restore_complete FILE and so on; without one, the menu.
# `pivori script` does the work, and says with --help what there is.
set -u

self=$0
case $self in */*) ;; *) self=./$self ;; esac
while [ -h "$self" ]; do
    link=$(readlink -- "$self")
    case $link in /*) self=$link ;; *) self=${self%/*}/$link ;; esac
done
root=$(CDPATH= cd -P -- "${self%/*}/../.." && pwd -P) || exit 1
if ! [ -f "$root/pivori" ]; then
    case ${LC_ALL:-${LC_MESSAGES:-${LANG:-}}} in
    fr*) echo "$0 : $root/pivori est introuvable ; faites un lien vers ce script au lieu de le copier." >&2 ;;
    *) echo "$0: there is no $root/pivori; link to this script instead of copying it." >&2 ;;
    esac
    exit 1
fi

# The project is the checkout itself, unless somebody says otherwise.
PIVORI_PROJECT_DIR=${PIVORI_PROJECT_DIR:-$root}
export PIVORI_PROJECT_DIR
exec sh "$root/pivori" script "$@"
