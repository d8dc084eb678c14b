"""make_templates.py DIRECTORY: renders DIRECTORY/*.jinja with transformers, at the fixed time 29 February 2024, 13:05:09.

The templates were written for this project with the constructs of well-known families: their macros, namespaces,
slices, filters and white space. Writes DIRECTORY/prompts.json. The prompt is null where a template raises an error.
"""
import datetime
import json
import pathlib
import sys

from transformers.utils import chat_template_utils

NOW = datetime.datetime(2024, 2, 29, 13, 5, 9)

CONVERSATIONS = [
    [{"role": "user", "content": "What is 2 + 2?"}],
    [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": " What is 2+2? <b> \n"},
        {"role": "assistant", "content": "<think>\nTwo and two.\n</think>\n\n4"},
        {"role": "user", "content": "and \"3+3\"?\r\n\n😀 é"},
    ],
    [{"role": "user", "content": "one"}, {"role": "user", "content": "two"}],
    [
        {"role": "user", "content": "How warm is it in Zürich?"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "abcdefghi", "type": "function", "function": {"name": "weather", "arguments": {"place": "Zürich", "days": [1, 2.5], "exact": True, "unit": None}}}],
        },
        {"role": "tool", "tool_call_id": "abcdefghi", "name": "weather", "content": "21.0 °C"},
        {"role": "assistant", "content": "<think>It says 21.</think>21 °C."},
        {"role": "user", "content": "Thanks"},
    ],
]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "What it's \"like\" <outside>",
            "parameters": {
                "type": "object",
                "properties": {
                    "place": {"type": "string", "description": " A city "},
                    "days": {"type": "array", "items": {"type": "number"}},
                    "unit": {"type": "string", "enum": ["C", "F"], "default": "C"},
                    "Area": {"type": "object", "properties": {"x": {"type": "integer"}, "name": {"type": ["string", "null"]}}, "required": ["x"]},
                    "either": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]},
                    "rest": {"type": "object", "additionalProperties": {"type": "boolean"}},
                },
                "required": ["place"],
            },
        },
    },
    {"type": "function", "function": {"name": "now", "description": "The time", "parameters": {"type": "object", "properties": {}}}},
]
DOCUMENTS = [{"doc_id": 7, "title": "A", "text": "Zürich is \"warm\"."}, {"doc_id": "b", "title": "B", "text": "<cold>"}]
ARGUMENTS = [
    {},
    {"enable_thinking": False},
    {"tools": TOOLS},
    {"tools": TOOLS, "documents": DOCUMENTS, "enable_thinking": True, "reasoning_effort": "high", "controls": {"length": "short"}},
    {"add_generation_prompt": False, "date_string": "1 Jan 2000"},
]
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}


class Fixed(datetime.datetime):
    @classmethod
    def now(cls, zone=None):
        return NOW


def main():
    chat_template_utils.datetime = Fixed
    directory = pathlib.Path(sys.argv[1])
    rows = []
    for path in sorted(directory.glob("*.jinja")):
        template = chat_template_utils._compile_jinja_template(path.read_text(encoding="utf-8"))
        for conversation, messages in enumerate(CONVERSATIONS):
            for arguments, own in enumerate(ARGUMENTS):
                everything = {"messages": messages, "tools": None, "documents": None, "add_generation_prompt": True, **TOKENS, **own}
                try:
                    prompt = template.render(**everything)
                except Exception:
                    prompt = None
                rows.append({"template": path.name, "conversation": conversation, "arguments": arguments, "prompt": prompt})
    all_ = {"conversations": CONVERSATIONS, "arguments": ARGUMENTS, "rows": rows}
    (directory / "prompts.json").write_text(json.dumps(all_, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
