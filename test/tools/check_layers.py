"""Checks that #includes follow the layers of docs/layers.txt, whose head describes its format."""

import fnmatch
import re

import repo

LAYERS = "docs/layers.txt"


class Layer:
    def __init__(self, name, height, patterns):
        self.name = name
        self.height = height
        self.patterns = patterns
        self.uses = None  # None: every layer below


class Rules:
    def __init__(self):
        self.layers = []
        self.forbidden = []  # (file pattern, set of system headers)

    def named(self, name):
        return next((layer for layer in self.layers if layer.name == name), None)

    def of(self, file):
        return [layer for layer in self.layers
                if any(fnmatch.fnmatchcase(file, pattern) for pattern in layer.patterns)]


def parse(text):
    """Returns the rules and complaints about the file itself."""
    rules, complaints = Rules(), []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        match = re.fullmatch(r"(layer|uses|forbid)\s+([^\s:]+)\s*:\s*(.*)", line)
        if not match:
            complaints.append(f"{LAYERS}:{number}: neither 'layer', 'uses' nor 'forbid': {line}")
            continue
        keyword, name, items = match.group(1), match.group(2), match.group(3).split()
        if keyword == "layer":
            rules.layers.append(Layer(name, -number, items))
        elif keyword == "forbid":
            rules.forbidden.append((name, set(items)))
        elif rules.named(name) is None:
            complaints.append(f"{LAYERS}:{number}: there is no layer '{name}' above this line")
        else:
            rules.named(name).uses = (rules.named(name).uses or []) + items
    return rules, complaints


def complaint_about(layer, target, target_layer):
    """Why a file of `layer` may not include `target`, or None."""
    if target_layer is layer:
        return None
    if layer.uses is not None:
        if any(fnmatch.fnmatchcase(target, pattern) for pattern in layer.uses):
            return None
        return f"layer {layer.name} may use only {' '.join(layer.uses)}"
    if target_layer.height < layer.height:
        return None
    return f"layer {target_layer.name} is not below {layer.name}"


def check_file(tree, rules, file):
    layers = rules.of(file)
    if len(layers) != 1:
        names = ", ".join(layer.name for layer in layers) or "none"
        yield f"{file}: belongs to exactly one layer of {LAYERS}, but matches {names}"
        return
    for number, form, name in repo.includes(tree.text(file)):
        for pattern, headers in rules.forbidden:
            if name in headers and fnmatch.fnmatchcase(file, pattern):
                yield f"{file}:{number}: <{name}> is forbidden in {pattern}"
        target = repo.resolve_include(tree, file, name)
        if target is None:
            continue  # a system header, or a missing one: check_files.py looks for those
        target_layers = rules.of(target)
        if not target_layers:
            yield f"{file}:{number}: {target} belongs to no layer"
        else:
            why = complaint_about(layers[0], target, target_layers[0])
            if why:
                yield f"{file}:{number}: includes {target}: {why}"


def check(tree, _arguments):
    if not tree.exists(LAYERS):
        yield f"{LAYERS} is missing"
        return
    rules, complaints = parse(tree.text(LAYERS))
    yield from complaints
    for layer in rules.layers:
        for pattern in layer.patterns:
            if not any(fnmatch.fnmatchcase(file, pattern) for file in tree.files):
                yield f"{LAYERS}: layer {layer.name}: nothing matches {pattern}"
    files = tree.c_files(*repo.PRODUCT)
    if not files:
        yield "there are no sources to check"
    for file in files:
        yield from check_file(tree, rules, file)


if __name__ == "__main__":
    repo.main(check, __doc__)
