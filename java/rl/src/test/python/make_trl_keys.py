"""make_trl_keys.py FILE: writes the keys, their classes and their defaults: of TRL's GRPOConfig, RLOOConfig and ModelConfig, and of the classes
they extend. A key of several classes is that of the last one here.

Reads the sources of the installed packages trl and transformers, so that neither has to be importable.
"""

import ast
import importlib.metadata
import sys

CLASSES = [
    ("transformers", "transformers/training_args.py", "TrainingArguments"),
    ("trl", "trl/trainer/model_config.py", "ModelConfig"),
    ("trl", "trl/trainer/base_config.py", "_BaseConfig"),
    ("trl", "trl/trainer/rloo_config.py", "RLOOConfig"),
    ("trl", "trl/trainer/grpo_config.py", "GRPOConfig"),
]


def fields(package, path, name):
    source = importlib.metadata.distribution(package).locate_file(path).read_text()
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            for field in node.body:
                if isinstance(field, ast.AnnAssign):
                    value = field.value
                    if isinstance(value, ast.Call):
                        defaults = [k.value for k in value.keywords if k.arg == "default"]
                        value = defaults[0] if defaults else None
                    yield field.target.id, "" if value is None else ast.unparse(value)


keys = {}
for package, path, name in CLASSES:
    keys.update({key: (name.strip("_"), default) for key, default in fields(package, path, name)})
with open(sys.argv[1], "w") as out:
    versions = [f"{package} {importlib.metadata.version(package)}" for package in ("trl", "transformers")]
    out.write(f"# {', '.join(versions)}: key, tab, class, tab, default\n")
    for key in sorted(keys):
        out.write("\t".join((key, *keys[key])) + "\n")
