"""Check the finder's image: by digest, from a registry that its region reaches; the stock image where none is given."""

from __future__ import annotations

import re

from dualsync.components.config.errors import ConfigError
from dualsync.components.config.model import SideModel
from dualsync.components.config.partitions import partition_of

STOCK_REPOSITORY = "public.ecr.aws/lambda/python"
STOCK_TAG = "3.12"
STOCK_DIGEST = "sha256:0628ddc11919f85f4261517d356392dbbc6b3181568d87a376ae2e814464c230"
STOCK = f"{STOCK_REPOSITORY}@{STOCK_DIGEST}"
"""AWS's own Python image on Amazon Linux 2023, for both architectures. The digest is that of tag 3.12 in public
Dockerfiles; `image_of` names the command that looks it up. The bundle brings all code but the interpreter and boto3."""

COPY_NAME = "lambda-python"
"""Name of the repository in which the documentation puts the copy for China."""

_DIGEST = re.compile(r"[^@]+@sha256:[0-9a-f]{64}")
_REFERENCE = re.compile(
    r"(?P<host>[a-z0-9-]+(?:\.[a-z0-9-]+)+(?::[0-9]+)?)/[a-z0-9]+(?:(?:[._]|__|-+|/)[a-z0-9]+)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?@sha256:[0-9a-f]{64}"
)
"""A reference with host and digest (OCI distribution specification, "Pulling manifests")."""
_PRIVATE = re.compile(r"(?P<account>[0-9]{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.(?P<domain>[a-z0-9.-]+)")


def image_of(model: SideModel) -> str:
    """Return the configured image, else the stock one. Raises `ConfigError` in China, which has no public registry."""
    if model.finder.image:
        return model.finder.image
    if model.partition.id == "aws-cn":
        registry = f"{model.account_id}.dkr.ecr.{model.region}.{model.partition.dns_suffix}"
        copy = f"{registry}/{COPY_NAME}"
        raise ConfigError(
            model.key("finderImage"),
            None,
            "not given, and China regions have no public registry to take the finder's image from",
            f"copy it into the account's own (`aws ecr create-repository --repository-name {COPY_NAME}`, `docker"
            f" login`, then `docker buildx imagetools create -t {copy}:{STOCK_TAG} {STOCK}`) and give"
            f" {copy}@<digest>, with the digest from `{lookup(f'{copy}:{STOCK_TAG}')}`",
        )
    return STOCK


def check(model: SideModel) -> None:
    """Raise `ConfigError` for an image by tag, or from a registry that the side's region does not reach."""
    image, key = model.finder.image, model.key("finderImage")
    if not image:
        return
    if not _DIGEST.fullmatch(image):
        remedy = f"give {image.partition('@')[0]}@<digest>, with the digest from `{lookup(image.partition('@')[0])}`"
        raise ConfigError(key, image, "is not named by digest, so its content could change", remedy)
    found = _REFERENCE.fullmatch(image)
    if found is None:
        raise ConfigError(key, image, "not an image's reference", "use HOST/REPOSITORY@sha256:<64 hexadecimal digits>")
    partition, china = model.partition, model.partition.id == "aws-cn"
    registry = _PRIVATE.fullmatch(found["host"])
    if registry is None:
        if china:
            own = f"{model.account_id}.dkr.ecr.{model.region}.{partition.dns_suffix}"
            problem = f"is in a registry that {model.region} does not reach reliably"
            raise ConfigError(key, image, problem, f"copy it into {own} and give that")
        return
    if partition_of(registry["region"]) != partition or registry["domain"] != partition.dns_suffix:
        raise ConfigError(
            key,
            image,
            f"is in a registry that side {model.side} can't reach from {model.region}",
            f"give it under {model.side}, from a registry of partition {partition.id}"
            f" (<account>.dkr.ecr.<region>.{partition.dns_suffix})",
        )


def lookup(reference: str) -> str:
    """Return the command that prints the digest of an image by tag."""
    private = re.fullmatch(rf"(?:{_PRIVATE.pattern})/(?P<name>[^:@]+)(?::(?P<tag>[^@]+))?", reference)
    if private is None:
        return f"docker buildx imagetools inspect --format '{{{{.Manifest.Digest}}}}' {reference}"
    tag = private["tag"] or "latest"
    return (
        f"aws ecr describe-images --registry-id {private['account']} --region {private['region']} --repository-name"
        f" {private['name']} --image-ids imageTag={tag} --query imageDetails[0].imageDigest --output text"
    )
