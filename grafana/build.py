"""Makes the dashboards from code, as classic JSON that Grafana 10.4 and later load.

python grafana/build.py             write them into grafana/dashboards
python grafana/build.py --check     exit 1 if they are not what this makes
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import anomalies
import itself
import lmstudio
from grafana_foundation_sdk.cog.encoder import JSONEncoder

OUTPUT = Path(__file__).with_name("dashboards")
DASHBOARDS = (lmstudio.build, anomalies.build, itself.build)


def rendered() -> dict[str, str]:
    """By file name: the dashboards' JSON."""
    documents = [json.loads(JSONEncoder().encode(build().build())) for build in DASHBOARDS]
    return {f"{one['uid']}.json": _text(_finished(one)) for one in documents}


def _finished(document: dict[str, Any]) -> dict[str, Any]:
    """With what the SDK leaves open, and without what it adds.

    Panels get numbers; the dashboard has no id, since that is given by the Grafana that loads it. The only placement that
    the SDK knows hides links and annotations in a menu. A link from data is a title and an address.
    """
    for number, panel in enumerate(document["panels"], 1):
        panel["id"] = number
        defaults = panel.get("fieldConfig", {}).get("defaults", {})
        if "links" in defaults:
            defaults["links"] = [
                {key: link[key] for key in ("title", "url", "targetBlank")} for link in defaults["links"]
            ]
    for placed in (*document["links"], *document["annotations"]["list"]):
        placed.pop("placement", None)
    return {"id": None, **document}


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> int:
    """Write the dashboards, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    wanted = rendered()
    if not parser.parse_args().check:
        OUTPUT.mkdir(exist_ok=True)
        for name, text in wanted.items():
            (OUTPUT / name).write_text(text, "utf-8")
        return 0
    present = {file.name: file.read_text("utf-8") for file in OUTPUT.glob("*.json")}
    stale = sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))
    for name in stale:
        print(f"grafana/dashboards/{name} is not what grafana/build.py makes; run it", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
