"""All methods together: score, dominance, selection, the picture; only the stage `pareto` runs it."""
