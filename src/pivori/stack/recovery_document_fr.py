"""RECOVERY.md in French."""

from typing import Final

from pivori.components.base import Consistency
from pivori.stack.recovery_texts import RecoveryTexts

FRENCH: Final = RecoveryTexts(
    title="Comment rétablir {stack}",
    other_language="The same text in English is above.",
    introduction=(
        "Ceci est un point de reprise de la pile {stack} de la machine {host}, pris le {moment}. Lisez-le une fois "
        "jusqu’au bout avant de taper quoi que ce soit. Rien de ce qui suit ne modifie le dépôt."
    ),
    missing_title="Ce qui n’est PAS ici",
    missing="**Ce point de reprise est incomplet.** Les composants qui manquent doivent venir d’un autre :",
    missing_item="{component} : sa capture a échoué : {reason}",
    contacts_title="Qui appeler",
    contacts="Appelez avant de commencer, pas après : à deux, on se trompe moins.",
    no_contacts="La configuration ne nomme personne.",
    email="Courriel : {value}",
    chat="Messagerie : {value}",
    issues="Tickets : {value}",
    needed_title="Ce qu’il vous faut",
    needed="L’emplacement du dépôt : un dossier ou une adresse.",
    needed_key="Le mot de passe du dépôt, ou le fichier qui le contient.",
    needed_secrets=(
        "L’identité age (un texte qui commence par `AGE-SECRET-KEY-`) : elle ouvre les secrets et se garde ailleurs."
    ),
    needed_room="Environ {size} d’espace libre.",
    program_title="Avec Pivori",
    program="Le dépôt et son mot de passe suffisent, même sur une machine neuve. Ce qui est remplacé est mis de côté.",
    program_point="Indiquez l’emplacement du dépôt, le fichier du mot de passe et un dossier qui n’existe pas encore :",
    program_beside="tout, à côté de l’existant",
    program_in_place="tout, à sa place d’origine",
    program_one="un seul composant",
    program_moment="dans l’état d’un moment donné",
    program_dry_run="montrer seulement ce qui serait fait",
    by_hand_title="Sans Pivori",
    by_hand="Le dépôt est au format de restic. Tout `restic` à partir de la version 0.14 sait le lire.",
    find_point="Trouvez le point de reprise commencé vers {moment} et indiquez son identifiant :",
    bring_files="Restaurez ses fichiers. Chaque composant est alors un dossier dans `$PLACE` :",
    by_hand_order=(
        "Rétablissez ensuite les composants dans l’ordre ci-dessous. Les suivants peuvent dépendre des précédents."
    ),
    by_hand_variables="Les autres mots en `$` dans les commandes sont à remplacer par vos valeurs.",
    component_title="{number}. {component} : {kind}",
    component_failed="**Absent de ce point de reprise : sa capture a échoué : {reason}** Ceux qui l’ont : {command}",
    component_not_asked="Absent de ce point de reprise : il n’était pas demandé. Ceux qui l’ont : {command}",
    component_no_commands="Il n’y a rien d’autre à faire à la main que de mettre ses fichiers à leur place.",
    component_commands="À la main :",
    moment="Capturé du {start} au {end}",
    consistency="Cohérence : {words}",
    replayable="Il peut être ramené à n’importe quel moment entre {since} et {until}",
    size="Taille : {size} en {files} fichiers",
    versions="Versions : {items}",
    position="Position : {items}",
    counts="Nombres, pour comparer : {items}",
    statuses="Codes de sortie : {items}",
    time_objective="Objectif : rétabli en {duration} au plus",
    loss_objective="Objectif : au plus {duration} de travail perdu",
    warning="**Attention :** {text}",
    content_title="Ce que contient ce point de reprise",
    content_record=("`.pivori/recovery-point.json` : tout ceci pour les programmes, avec le SHA-256 de chaque flux."),
    content_configuration="`.pivori/pivori.toml` : la configuration avec laquelle il a été fait.",
    content_components="Un dossier pour chaque composant, à son nom.",
    origin="Fait par {program} à partir du dossier {root} ; stratégie : {strategy}.",
    no_strategy="aucune",
    kinds={
        "files": "fichiers et dossiers",
        "git": "un dépôt git",
        "postgres": "bases PostgreSQL, sous forme d’exports",
        "postgres-physical": "un serveur PostgreSQL, avec son journal de transactions",
        "mysql": "bases MariaDB ou MySQL",
        "sqlite": "bases SQLite",
        "redis": "une base Redis",
        "compose": "services de Docker Compose",
        "secrets": "secrets, scellés avec age",
        "command": "la sortie d’une commande",
    },
    consistencies={
        Consistency.TRANSACTION: "un seul instant entre deux transactions, pour tout son contenu",
        Consistency.FROZEN: "un seul instant du volume, comme après une coupure de courant",
        Consistency.FILES: "chaque fichier entier, chacun à son propre instant",
        Consistency.PROGRAM: "celle que promet le programme qui l’a écrit",
    },
    byte_units=("o", "Kio", "Mio", "Gio", "Tio", "Pio"),
    decimal_point=",",
    duration_units=("j", "h", "min", "s"),
    comments={
        "repository": "un dossier, ou une adresse",
        "password": "un fichier qui le contient",
        "place": "un dossier avec assez de place",
        "snapshot": "l’identifiant de la liste",
    },
)
