"""Learn which latent factor does what, and which structure is shared between populations and which is private.

The parts are modules: `unbraid.models`, `unbraid.objectives`, `unbraid.nets`, `unbraid.likelihoods`, `unbraid.data`,
`unbraid.training`, `unbraid.metrics`, `unbraid.plots`, `unbraid.runs`, `unbraid.recipes`, `unbraid.report`.
"""
