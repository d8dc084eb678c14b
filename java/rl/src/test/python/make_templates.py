"""make_templates.py DIRECTORY: what jinja2, with the settings of transformers' chat templates, makes of DIRECTORY/*.jinja.

The templates were written for this project in the manner of well-known ones (ChatML, headers, [INST], thinking). Writes DIRECTORY/prompts.json.
"""
import json
import pathlib
import sys

from jinja2.sandbox import ImmutableSandboxedEnvironment

CONVERSATIONS = [
    [{"role": "user", "content": "What is 2 + 2?"}],
    [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": " What is 2+2? <b> \n"},
        {"role": "assistant", "content": "<think>\nTwo and two.\n</think>\n\n4"},
        {"role": "user", "content": "and 3+3?"},
    ],
    [{"role": "user", "content": "one"}, {"role": "user", "content": "two"}],
]


def refuse(message):
    raise ValueError(message)


directory = pathlib.Path(sys.argv[1])
environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
environment.globals["raise_exception"] = refuse
rows = []
for path in sorted(directory.glob("*.jinja")):
    template = environment.from_string(path.read_text())
    for messages in CONVERSATIONS:
        try:
            prompt = template.render(messages=messages, add_generation_prompt=True, bos_token="<s>", eos_token="</s>")
        except ValueError:
            prompt = None
        rows.append({"template": path.name, "messages": messages, "prompt": prompt})
(directory / "prompts.json").write_text(json.dumps(rows, indent=1) + "\n")
