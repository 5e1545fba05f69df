"""What runs in a bottle: POSIX scripts, each in the workspace, that trust nothing on this machine and are not trusted.

`BOTTLE_AT` is the folder, relative to the workspace. Hooks and the like are switched off inside too: not for the sake
of safety, for whatever runs there is confined, but so that a hook that hangs does not keep work from coming out.
"""

__all__ = ["BEGIN", "CLEAR", "INTRODUCE", "LAY", "NO_GIT", "NO_REPOSITORY", "SEND", "SNAPSHOT", "UNPACK", "UNREAD"]

NO_GIT = 81
NO_REPOSITORY = 82
UNREAD = 83

HEAD = f"""
command -v git >/dev/null || exit {NO_GIT}
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_NAMESPACE
export GIT_NO_REPLACE_OBJECTS=1 GIT_TERMINAL_PROMPT=0 GIT_EDITOR=false GIT_PAGER=cat LC_ALL=C
unlfs="-c filter.lfs.clean= -c filter.lfs.process="
g() {{ git -c core.hooksPath=/dev/null -c core.fsmonitor=false -c gc.auto=0 -c safe.directory='*' "$@"; }}
"""

CLEAR = "find . -mindepth 1 -maxdepth 1 -exec rm -rf {} +\n"

IDENTITY = """
if [ -n "$BOTTLE_NAME" ]; then git config --global user.name "$BOTTLE_NAME"; fi
if [ -n "$BOTTLE_MAIL" ]; then git config --global user.email "$BOTTLE_MAIL"; fi
"""

INTRODUCE = f"{HEAD}set -e\n{IDENTITY}git config --global safe.directory '*'\n"
"""For a workspace that is bound: there may be files of others in it."""

LAY = (
    HEAD
    + """set -e
mkdir -p "./$BOTTLE_AT"; cd "./$BOTTLE_AT"
g init -q --template= --object-format="$BOTTLE_FORM" .
tar -x -p -f -
"""
    + IDENTITY
    + """if [ -s .git/bottle/settings ]; then cat .git/bottle/settings >>.git/config; fi
g update-index -z --index-info <.git/bottle/index
g -c checkout.workers=2 checkout-index -q -u -z --stdin <.git/bottle/clean
if [ -s .git/bottle/filtered ]; then
  GIT_INDEX_FILE=.git/filtered g $unlfs update-index --add -z --stdin <.git/bottle/filtered
fi
cat .git/bottle/absent .git/bottle/filtered | g update-index -z --skip-worktree --stdin
rm -rf .git/bottle
"""
)
"""A tar on stdin: the objects, HEAD, branches, what the index has, and the files that differ from it."""

PLACE = f"""
cd "./$BOTTLE_AT" || exit {NO_REPOSITORY}
if [ -n "$BOTTLE_DIR" ]; then export GIT_DIR="$HOME/$BOTTLE_DIR" GIT_WORK_TREE=.; fi
[ -n "$BOTTLE_DIR" ] || [ -e .git ] || exit {NO_REPOSITORY}
own=$(g rev-parse --absolute-git-dir 2>/dev/null) || exit {NO_REPOSITORY}
"""
"""Where a repository is: as a rule in its working tree, for a plain folder in the agent's home."""

INDEX = rf"""
tmp=$(mktemp -d "$own/bottle-XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
export tmp own
cp -p "$(g rev-parse --git-path index)" "$tmp/index" 2>/dev/null
if [ -e "$own/filtered" ]; then  # what a filter made is known by its bytes, and comes out by them once they change
  cp -p "$own/filtered" "$tmp/filtered"
  GIT_INDEX_FILE=$tmp/filtered g $unlfs diff-files --name-only -z --ignore-submodules=all >"$tmp/refiltered"
  GIT_INDEX_FILE=$tmp/index g update-index -z --no-skip-worktree --stdin <"$tmp/refiltered"
fi
# A repository that was made inside has nowhere to go back to: its files come out. One that came in goes its own way.
GIT_INDEX_FILE=$tmp/index g ls-files -o -z --exclude-standard |
  tr '\n\0' '\0\n' | sed -n 's,/$,,p' | tr '\n\0' '\0\n' >"$tmp/within"
xargs -0 -r -n 1 sh -c '
  [ -e "$own/bottle-within" ] && grep -Fxqz -e "$1" "$own/bottle-within" && exit 0
  find "./$1" -name .git -prune -o "(" -type f -o -type l ")" -print0 |
    GIT_INDEX_FILE=$tmp/index git update-index --add -z --stdin
' sh <"$tmp/within" || exit 1
{{ printf '.\0'; if [ -e "$own/bottle-within" ]; then
  tr '\n\0' '\0\n' <"$own/bottle-within" | sed 's/^/:(exclude,literal)/' | tr '\n\0' '\0\n'; fi; }} >"$tmp/paths"
GIT_INDEX_FILE=$tmp/index g add -A ${{BOTTLE_DIR:+-f}} --ignore-errors --pathspec-from-file="$tmp/paths" \
  --pathspec-file-nul >"$tmp/said" 2>&1 || {{ grep -m1 error: "$tmp/said" >&2; exit {UNREAD}; }}
tree=$(GIT_INDEX_FILE=$tmp/index g write-tree) || exit 1
export GIT_AUTHOR_NAME=bottle GIT_AUTHOR_EMAIL=bottle GIT_COMMITTER_NAME=bottle GIT_COMMITTER_EMAIL=bottle
"""

SNAPSHOT = HEAD + PLACE + INDEX + 'echo "$tree"\n'
"""The working tree as a tree of git, whose name is printed; the index stays as it is."""

BEGIN = (
    HEAD
    + """
GIT_DIR="$HOME/$BOTTLE_DIR" GIT_WORK_TREE=. g init -q --template= . || exit 1
cat >"$HOME/$BOTTLE_DIR/bottle-within"
"""
    + PLACE
    + INDEX
    + """
commit=$(echo 'As it came in' | g commit-tree "$tree") && g update-ref HEAD "$commit" && g read-tree HEAD || exit 1
echo "$commit $tree"
"""
)
"""A plain folder gets a repository in the agent's home, so that what is done in it can be told from what came."""

SEND = (
    HEAD
    + PLACE
    + INDEX
    + """
cat >"$tmp/known"
head=$(g rev-parse -q --verify 'HEAD^{commit}') || head=
work=$(g commit-tree "$tree" ${head:+-p "$head"} </dev/null) || exit 1
g for-each-ref --format='ref %(objectname) %(refname)' refs/heads refs/stash >"$tmp/refs" || exit 1
{ echo "$work"; sed 's/^ref \\([0-9a-f]*\\) .*/\\1/' "$tmp/refs"; sed 's/^/^/' "$tmp/known"; } >"$tmp/revs"
g rev-list --objects --ignore-missing --stdin <"$tmp/revs" >"$tmp/objects" || exit 1
[ -z "$head" ] || echo "head $head"
cat "$tmp/refs"
echo "work $work"
echo
g pack-objects --stdout -q --delta-base-offset <"$tmp/objects"
"""
)
"""What there is and is not `known` (object names on stdin): lines, an empty one, a pack."""

UNPACK = """set -e
tar -x -p -f -
"""
