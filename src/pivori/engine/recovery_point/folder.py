"""A folder of a recovery point while it is put together: nodes by their paths, then trees from the bottom up."""

from collections.abc import Sequence

from pivori.engine.backup.made_nodes import FOLDER_MODE, made_node
from pivori.errors import PivoriError
from pivori.host import ProcessIdentity
from pivori.repository import Intake, Node, assemble_tree, encode_node, raw_name
from pivori.translation import N_

_Folder = dict[bytes, "_Folder | Node"]


class PathTaken(PivoriError):
    """A component writes a path of its capture twice."""

    code = "capture-path-taken"
    message = N_("Two parts of the component {component} would be stored as {path}.")
    hint = N_("Give one of them another name or place in the configuration.")


class FolderBuilder:
    """Nodes below one folder. ``name`` is that of the component, for errors; paths have no slash in front."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._top: _Folder = {}

    def place(self, path: bytes, node: Node) -> None:
        """Put a file, or a folder that is whole, at a path. Raises PathTaken."""
        *above, last = path.split(b"/")
        folder = self._top
        for part in above:
            inner = folder.setdefault(part, {})
            if not isinstance(inner, dict):
                raise PathTaken(component=self._name, path=path)
            folder = inner
        if last in folder:
            raise PathTaken(component=self._name, path=path)
        folder[last] = node

    def place_all(self, nodes: Sequence[Node]) -> None:
        """Put nodes at the top. Raises PathTaken."""
        for node in nodes:
            self.place(raw_name(node), node)

    def store(self, intake: Intake, identity: ProcessIdentity, time_ns: int) -> str:
        """Store the trees; the id of the topmost. Folders that no node gave are made at ``time_ns``."""

        def tree_of(folder: _Folder) -> str:
            encoded = []
            for name, content in sorted(folder.items()):
                if isinstance(content, dict):
                    content = made_node(identity, time_ns, name, FOLDER_MODE, subtree=tree_of(content))
                encoded.append(encode_node(content))
            return intake.add_tree(assemble_tree(encoded))[0].hex()

        return tree_of(self._top)
