"""make_trl_keys.py FILE: writes the keys and defaults of TRL's GRPOConfig and ModelConfig, and of the classes they extend.

Reads the sources of the installed packages trl and transformers, so that neither has to be importable.
"""

import ast
import importlib.metadata
import sys

CLASSES = [
    ("transformers", "transformers/training_args.py", "TrainingArguments"),
    ("trl", "trl/trainer/model_config.py", "ModelConfig"),
    ("trl", "trl/trainer/base_config.py", "_BaseConfig"),
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
    keys.update(fields(package, path, name))
with open(sys.argv[1], "w") as out:
    versions = [f"{package} {importlib.metadata.version(package)}" for package in ("trl", "transformers")]
    out.write(f"# {', '.join(versions)}: key, tab, default\n")
    for key in sorted(keys):
        out.write(f"{key}\t{keys[key]}\n")
