"""The page around `dvc plots show`: DVC's own fetches Vega from the network, this one has it inside."""

import vl_convert

from prunefront.report.page import VEGA_LICENSE

VEGA_LITE = "5.21"
"""The last version of the schema that DVC's plots are written in."""


def plots_template() -> str:
    """The text of a template for `plots.html_template`, in which DVC replaces `{plot_divs}` and `{refresh_tag}`."""
    vega = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", VEGA_LITE)
    return f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{{refresh_tag}}
<title>DVC plots</title>
<link rel="icon" href="data:,">
<!-- {VEGA_LICENSE} -->
<script>
{vega}
</script>
<style>
body {{ margin: 1rem; font-family: system-ui, sans-serif; }}
img {{ max-width: 100%; height: auto; }}
</style>
</head>
<body>
{{plot_divs}}
</body>
</html>
"""
