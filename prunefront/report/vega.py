"""Vega, which draws the charts in a browser, put into pages: none of them fetches anything."""

from functools import cache

import vl_convert

LICENSE = "Vega, Vega-Lite and Vega-Embed: copyright University of Washington Interactive Data Lab, BSD-3-Clause"


@cache
def vega() -> str:
    """A script with Vega, Vega-Lite and Vega-Embed, 0.9 MB, that defines `vegaEmbed`."""
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")


def plots_template() -> str:
    """The page around `dvc plots show`, see `plots.html_template` of DVC; its own fetches Vega from the network.

    DVC puts its plots in the place of `{plot_divs}`, and an element that reloads the page, or nothing, in that of
    `{refresh_tag}`.
    """
    return f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{{refresh_tag}}
<title>DVC plots</title>
<link rel="icon" href="data:,">
<!-- {LICENSE} -->
<script>
{vega()}
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
