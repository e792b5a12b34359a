"""Bundling JavaScript modules into one file."""

from __future__ import annotations

import pytest
from support.javascript import evaluate

from api.browser_client.module_bundle import BundleError, bundle

MODULES = {
    "index.js": """
/** @typedef {import("./missing.js").Type} Type */
import { LIMIT as limit, double } from "./lib/double.js";
import * as lib from "./lib/double.js";

const SECRET = 1; // the other module has the same name
export { triple } from "./triple.js";
export const six = double(3);
export async function lazy() {
  return (await import("./lazy.js")).name;
}
export class Box { value = [limit, SECRET, lib.LIMIT, new lib.double.constructor("return 1")()]; }
const four = double(2);
export { four };
""",
    "lib/double.js": 'import { by } from "../triple.js";\nconst SECRET = 2;\nexport const LIMIT = 9;\n'
    "export function double(value) {\n  return by(value, SECRET);\n}\n",
    "triple.js": "export const by = (value, factor) => value * factor;\n"
    "export const triple = (value) => by(value, 3);\n",
    "lazy.js": 'export const name = "lazy";\n',
    "other.js": 'import { six } from "./index.js";\nexport const seven = six + 1;\n',
}


@pytest.fixture
def write(tmp_path):
    """Write modules to the folder that is bundled: ``write(name=text)``."""

    def write(modules):
        for name, text in modules.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        return tmp_path

    return write


def test_a_bundle_exports_what_its_modules_export(write):
    folder = write(MODULES)
    out = folder / "out"  # from where the modules cannot be imported
    out.mkdir()
    (out / "bundle.mjs").write_text(bundle(folder, ["index.js", "other.js"]))
    program = """
      import * as all from "./bundle.mjs";
      const { Box, triple, lazy, ...numbers } = all;
      console.log(JSON.stringify([new Box().value, triple(2), await lazy(), numbers]));
    """
    assert evaluate(program, out) == '[[9,1,9,1],6,"lazy",{"four":4,"seven":7,"six":6}]\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("export default 1;\n", "export default 1;"),
        ('import react from "react";\n', "import react"),
        ('export * from "./lazy.js";\n', r"export \* from"),
        ('import "./lazy.js";\n', 'import "./lazy.js"'),
    ],
)
def test_syntax_that_is_not_supported_is_named(write, text, message):
    folder = write({"index.js": text, "lazy.js": ""})
    with pytest.raises(BundleError, match=rf"^index.js: the bundle does not support .*{message}"):
        bundle(folder, ["index.js"])


def test_an_import_cycle_is_named(write):
    folder = write({"a.js": 'import { b } from "./b.js";\n', "b.js": 'import { a } from "./a.js";\n'})
    with pytest.raises(BundleError, match=r"a\.js is part of an import cycle"):
        bundle(folder, ["a.js"])
