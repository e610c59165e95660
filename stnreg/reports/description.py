"""Descriptions of a registration, for JSON and figures."""

import os
from typing import Any

from stnreg import __version__
from stnreg.geometry.affine import to_parameters
from stnreg.geometry.grid import Grid
from stnreg.geometry.matrix import Matrix
from stnreg.models.card import find
from stnreg.registration.by_anatomy import VELOCITY_MODEL
from stnreg.registration.result import RegistrationResult


def describe_registration(result: RegistrationResult) -> dict[str, Any]:
    """Return the content of `--json` for a registration, without outputs and command."""
    return {
        "fixed": result.fixed.path,
        "moving": result.moving.path,
        "transform": describe_transform(
            result.fixed_to_moving, result.fixed.grid, result.dof, dof_requested=result.options.dof
        ),
        "verdict": {
            "passed": result.verdict.passed,
            "score": result.verdict.score,
            "reasons": list(result.verdict.reasons),
            "same_person": result.refined.same_person if result.refined else None,
            "similarity": result.refined.similarity if result.refined else None,
        },
        "metrics": {
            "structure_agreement": result.verdict.score if result.model.kind == "anatomy" else None,
            "local_correlation": result.refined.local_correlation if result.refined else None,
            "overlap": result.refined.overlap if result.refined else None,
            "there_and_back_mm": result.refined.there_and_back_mm if result.refined else None,
        },
        "timings_s": {name: round(value, 4) for name, value in result.timings_s.items()},
        "model": {
            "name": result.model.name,
            "sha256": result.model.sha256,
            "pose_sha256": result.model.pose.sha256 if result.model.pose else None,
            "last_sha256": result.model.last.sha256 if result.model.last else None,
        },
        "device": result.device,
        "threads": result.threads,
        "warnings": list(result.warnings),
        "versions": versions(),
        **_deformation(result),
    } | bids_words(result.fixed.path, result.moving.path)


def bids_words(fixed: str | os.PathLike[str], moving: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the source and the space of an output, with the keys of BIDS derivatives."""
    return {
        "Sources": [str(moving), str(fixed)],
        "SpatialReference": str(fixed),
        "GeneratedBy": [{"Name": "stnreg", "Version": __version__}],
    }


def describe_transform(
    fixed_to_moving: Matrix, fixed_grid: Grid, dof: int, *, dof_requested: int | None = None
) -> dict[str, Any]:
    """Return the content of `--json` for a transform: its matrix, and parameters about the centre of the fixed grid.

    Parameters
    ----------
    fixed_to_moving : (4, 4) float64
        LPS mm.
    fixed_grid : Grid
    dof : int
        Degrees of freedom of the transform.
    dof_requested : int, optional
        Degrees of freedom that were requested: more if the overlap does not support them. The same when left out.
    """
    parameters = to_parameters(fixed_to_moving, fixed_grid.center_lps)
    return {
        "fixed_to_moving_lps": fixed_to_moving.tolist(),
        "dof": dof,
        "dof_requested": dof if dof_requested is None else dof_requested,
        "parameters": {
            "translation_mm": list(parameters.translation_mm),
            "rotation_deg": list(parameters.rotation_deg),
            "scale": list(parameters.scale),
            "shear": list(parameters.shear),
            "center_lps_mm": fixed_grid.center_lps.tolist(),
        },
    }


def _deformation(result: RegistrationResult) -> dict[str, Any]:
    """Return the block `deformation` of the JSON; nothing where nothing was deformed."""
    found = result.deformation
    if found is None:
        return {}
    network = find(VELOCITY_MODEL)
    return {
        "deformation": {
            "stiffness_mm": found.stiffness_mm,
            "model": {
                "name": network.name,
                "sha256": network.sha256,
                "synthesis_sha256": network.synthesis.sha256 if network.synthesis else None,
            },
            "compared_in_t1": found.compared_in_t1,
            "folds_central": found.folds_central,
            "folds_digital": found.folds_digital,
            "log_jacobian_sd": found.log_jacobian_sd,
            "largest_mm": found.largest_mm,
            "agreement_before": found.agreement_before,
            "agreement_after": found.agreement_after,
        }
    }


def versions() -> dict[str, str]:
    """Return the versions of stnreg and of the packages that results depend on."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"stnreg": __version__}
    for package in ("numpy", "SimpleITK", "onnxruntime", "onnxruntime-gpu"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def summary(result: RegistrationResult) -> list[str]:
    """Return the title lines of a figure."""
    parameters = result.parameters
    rotation = ", ".join(f"{v:.1f}" for v in parameters.rotation_deg)
    translation = ", ".join(f"{v:.1f}" for v in parameters.translation_mm)
    scale = ", ".join(f"{v:.3f}" for v in parameters.scale)
    return [
        f"{os.path.basename(result.moving.path)} on {os.path.basename(result.fixed.path)}, "
        f"{result.dof} dof, {result.model.name}",
        *_verdict_lines(result),
        f"rotation {rotation} deg, translation {translation} mm, scale {scale}",
        *_deformation_lines(result),
    ]


def _deformation_lines(result: RegistrationResult) -> list[str]:
    """Say what the deformation did, where there was one."""
    found = result.deformation
    if found is None:
        return []
    return [
        f"deformation up to {found.largest_mm:.1f} mm, standard deviation of log J {found.log_jacobian_sd:.2f}, "
        f"{found.folds_digital} folds; soft Dice of structures {found.agreement_after:.2f}, "
        f"{found.agreement_before:.2f} before it"
    ]


def _verdict_lines(result: RegistrationResult) -> list[str]:
    """Return the assessment of a registration and its metrics, as lines of text."""
    verdict, refined = result.verdict, result.refined
    if verdict.passed is None:
        return ["not assessed: " + "; ".join(verdict.reasons)]
    if result.model.kind == "pair":
        figures = [f"score (local correlation inside both objects) {verdict.score:.2f}"]
    else:
        figures = [f"score (agreement of the structures) {verdict.score:.2f}"] if verdict.score is not None else []
    if refined is not None and result.model.kind != "pair":
        figures.append(f"local correlation in the brain {refined.local_correlation:.2f}")
    line = ("accepted: " if verdict.passed else "rejected: ") + ", ".join(figures)
    return [line, *verdict.reasons]
