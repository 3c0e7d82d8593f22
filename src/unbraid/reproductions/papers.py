"""The experiments of both papers."""

from unbraid.reproductions import cpvae, srvae

EXPERIMENTS = (*srvae.EXPERIMENTS, *cpvae.EXPERIMENTS)
