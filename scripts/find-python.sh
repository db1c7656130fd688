# Read by ./pivori and ./test: leaves in $python the command of a Python that is new enough, or stops.
python=
for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
    if "$candidate" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    case ${LC_ALL:-${LC_MESSAGES:-${LANG:-}}} in
    fr*)
        echo "pivori : Python 3.11 ou plus récent est introuvable sur cette machine." >&2
        echo "  → Installez-le (Debian, Ubuntu : apt install python3 python3-venv), puis relancez la commande." >&2
        ;;
    *)
        echo "pivori: this machine has no Python 3.11 or newer." >&2
        echo "  → Install it (Debian, Ubuntu: apt install python3 python3-venv), then run the command again." >&2
        ;;
    esac
    exit 1
fi
