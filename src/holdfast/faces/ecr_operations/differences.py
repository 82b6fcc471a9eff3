"""Where an operation does not do as Amazon ECR does, and why: the table that docs/reference/ecr.md is drawn from.

An operation that is not here does what AWS documents, as far as tests and recordings show.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Difference:
    """What is other than in Amazon ECR, and the reason; both are sentences."""

    what: str
    why: str


EVERYWHERE: Final = (
    Difference(
        "A request that is not strict JSON (a key twice, NaN, half a surrogate) is a SerializationException.",
        "Two parsers that read one document differently are an attack.",
    ),
    Difference(
        "The registries (account and region) are those that the operator named (the setting registries) or made "
        "(`holdfast registry create`); any other is a registry where nothing is, and a request that is signed for a "
        "region without one is an InvalidSignatureException that names the region.",
        "An account is no customer of a cloud here, and nobody gets one by naming it.",
    ),
    Difference(
        "A host name of Amazon ECR's form (ACCOUNT.dkr.ecr.REGION.SUFFIX, api.ecr.REGION.SUFFIX, dual-stack and FIPS "
        "ones too) says account and region, with any SUFFIX, and the signature must be for that region. At any other "
        "name the JSON API goes by the signature and registryId, the registry protocol to the default registry.",
        "A server that runs anywhere answers to the names that its operator gives it.",
    ),
    Difference(
        "Layers are stored once for all registries of a server, and never told of across them: each registry, like "
        "each repository, is asked for what it has itself, and nothing is mounted from another.",
        "It spares room, and rights stay those of one registry.",
    ),
    Difference(
        "STS (AssumeRole, AssumeRoleWithWebIdentity, GetCallerIdentity) is answered at every host name of the server, "
        "and binds the region of the signature only where that name says one (sts.REGION.SUFFIX).",
        "Sessions are good in every region, as those of Amazon's regional endpoints are; the region that a caller "
        "chose is aws:RequestedRegion for policies, as on AWS.",
    ),
    Difference(
        "A nextToken is good for the caller, the operation and the parameters that it was made for, and for no other.",
        "A token must not carry one caller's view to another.",
    ),
)
"""Of all operations alike."""

_NO_KMS: Final = Difference("Only AES256 is taken.", "Holdfast has no keys of AWS KMS; encrypt the disk.")
_NO_SCANNER: Final = Difference(
    "Without a report that was loaded (`holdfast scan load`) the status is UNSUPPORTED_IMAGE.",
    "There is no scanner inside yet, and an image that nobody looked into must not look clean.",
)
_TOMBSTONE: Final = Difference(
    "The name of a held tag that is deleted waits for the digest that it had; `holdfast forget` or the setting "
    "deletedTags=free give it up.",
    "In Amazon ECR, delete and push again moves an immutable tag.",
)
_MODE_KEYS: Final = Difference(
    "ecr:imageTagMutability and ecr:imageTagMutabilityExclusionFilters are condition keys here, so that a guardrail "
    "can ask for IMMUTABLE.",
    "AWS has no such keys: there a statement that asks for one denies every request, or none.",
)
_SENTENCE: Final = Difference(
    "After Amazon ECR's sentence for what is no policy the message says which part of it, and what is wrong there.",
    "Whoever writes a policy should not have to guess.",
)
_ORDER: Final = Difference("Lists are in the order of digests.", "A page then begins where the last one ended.")

DIFFERENCES: Final[dict[str, tuple[Difference, ...]]] = {
    "BatchDeleteImage": (
        _TOMBSTONE,
        Difference(
            "With digest and tag, the tag goes; with its last tag, the image.",
            "Amazon ECR's documentation leaves it open, and this deletes the least.",
        ),
    ),
    "BatchGetImage": (
        Difference(
            "A manifest is returned as it was pushed; acceptedMediaTypes filters, and nothing is converted.",
            "A converted manifest has another digest than the one that was held.",
        ),
    ),
    "CompleteLayerUpload": (Difference("One digest is taken, not several.", "A layer has one name here."),),
    "CreatePullThroughCacheRule": (
        Difference(
            "Any OCI registry may be the upstream, by a right of its own: holdfast:UseAnyUpstream.",
            "Amazon ECR has a fixed list; whoever names an address lets the server send requests there.",
        ),
        Difference(
            "credentialArn names a credential that was sealed here (`holdfast upstream credential set`); it may be "
            "left out for any upstream. customRoleArn is kept and not used.",
            "There is no AWS Secrets Manager and no role to assume.",
        ),
    ),
    "CreateRepository": (
        _MODE_KEYS,
        _NO_KMS,
        _TOMBSTONE,
        Difference(
            "A filter with more than two wildcards is refused with a sentence of ours.",
            "Amazon ECR has the limit; its sentence is not known.",
        ),
    ),
    "CreateRepositoryCreationTemplate": (
        _NO_KMS,
        Difference(
            "customRoleArn is asked for where Amazon ECR asks for one, and not used.",
            "A template that works here works there.",
        ),
    ),
    "DeleteRepository": (_TOMBSTONE,),
    "DescribeImageReplicationStatus": (
        Difference(
            "A tag that holds at the destination is FAILED with ImageTagAlreadyExists; the image is there, untagged.",
            "Amazon ECR drops the tag and says nothing.",
        ),
        Difference(
            "Failure codes are names of Holdfast's; `holdfast replication status` tells the sentence.",
            "Amazon ECR lists no codes.",
        ),
    ),
    "DescribeImageScanFindings": (
        _NO_SCANNER,
        Difference(
            "Findings are those of the report that was loaded last, of language packages too; with scanType ENHANCED "
            "they are told as enhancedFindings, without what Amazon Inspector alone knows (findingArn, remediation).",
            "The scanner is the operator's choice.",
        ),
    ),
    "DescribeImageSigningStatus": (
        Difference(
            "Images that the rules ask to be signed are FAILED, with the code SignerNotAvailable.",
            "Holdfast has no AWS Signer; a client's signature is a referrer of the image.",
        ),
    ),
    "DescribeImages": (
        _ORDER,
        Difference(
            "imageScanFindingsSummary is filled wherever a report was loaded.",
            "Amazon ECR's newer basic scanning leaves it out, and who lists images wants it.",
        ),
    ),
    "GetAccountSetting": (
        Difference("BLOB_MOUNTING is ENABLED before anybody puts it.", "It spares uploads; the same rights are asked."),
    ),
    "GetAuthorizationToken": (
        Difference(
            "proxyEndpoint is the address by which the client reached this server.",
            "A server that runs anywhere has no name under amazonaws.com.",
        ),
    ),
    "GetDownloadUrlForLayer": (
        Difference(
            "The link is good for an hour, and only as long as the caller keeps the right.",
            "A right that is taken away must end.",
        ),
    ),
    "ListImageReferrers": (
        _ORDER,
        Difference(
            "The subject need not be there.",
            "A signature may arrive before its image does (OCI distribution specification, referrers).",
        ),
    ),
    "ListImages": (_ORDER,),
    "PutAccountSetting": (
        Difference("REGISTRY_POLICY_SCOPE can be set back to V1.", "Amazon ECR does not say whether it can."),
    ),
    "PutImage": (
        Difference(
            "A refused overwrite keeps the manifest under its digest, and the message goes on after Amazon ECR's "
            "sentence: what the tag names, since when, by whom, and the command that publishes what was pushed.",
            "The bytes are accepted, the label refuses to move; set refusalStyle=ecr for the bare sentence.",
        ),
        Difference(
            "Docker image manifests of schema 1 are refused.",
            "They cannot be verified by their digest.",
        ),
    ),
    "PutImageScanningConfiguration": (_NO_SCANNER,),
    "PutReplicationConfiguration": (
        Difference(
            "A destination is a registry of this server, or one whose address was told (`holdfast replication peer "
            "set`). One that is neither is taken, and replications to it are FAILED with DestinationNotFound.",
            "Amazon ECR knows where its registries are.",
        ),
    ),
    "PutRegistryPolicy": (_SENTENCE,),
    "SetRepositoryPolicy": (
        _SENTENCE,
        Difference(
            "Without force a policy is refused under which the caller could not set another; the sentence is ours. One "
            "that was set with force and denies everybody everything holds for administrators too.",
            "Amazon ECR's documentation tells the rule and no sentence; a deny has no exception.",
        ),
    ),
    "PutImageTagMutability": (
        _MODE_KEYS,
        Difference(
            "Same settings again change nothing and leave no entry in the record.",
            "The record tells what changed.",
        ),
    ),
    "PutRegistryScanningConfiguration": (
        _NO_SCANNER,
        Difference(
            "ENHANCED with the frequency MANUAL is refused in the form that Amazon ECR has for BASIC with "
            "CONTINUOUS_SCAN.",
            "The documentation allows the two others alone; the sentence is not known.",
        ),
    ),
    "PutSigningConfiguration": (
        Difference("Rules are kept, and nothing is signed by them.", "Holdfast has no AWS Signer."),
    ),
    "StartImageScan": (
        _NO_SCANNER,
        Difference(
            "The quota of a registry (100,000 scans a day) is not counted.",
            "A scan that only reads a loaded report costs nothing.",
        ),
    ),
    "ValidatePullThroughCacheRule": (
        Difference("Rules without a credential are validated too.", "Whether the upstream answers is worth knowing."),
    ),
    "TagResource": (Difference("Only ARNs of repositories are taken.", "Nothing else here has resource tags."),),
    "GetLifecyclePolicyPreview": (
        Difference(
            "Previews are forgotten at a restart and after a day; images that stay are told, each with its reason, by "
            "ListLifecycleDecisions.",
            "A preview is for the person who asked.",
        ),
    ),
    "PutLifecyclePolicy": (
        Difference(
            "An image that a held tag names is expired only where the registry allows it (lifecycleHeldTags=expire), "
            "and then the name stays with its digest.",
            "In Amazon ECR, expiry frees an immutable tag for other bytes.",
        ),
        Difference(
            "Signatures and other referrers of an image that is there are neither selected nor counted; they go and "
            "are archived with it.",
            "A rule about untagged images must not take the proof of an image that stays.",
        ),
        Difference(
            "A policy runs a minute after it was put, then every six hours; index children may go in the run of their "
            "index.",
            "Amazon ECR promises a day.",
        ),
    ),
    "UpdateImageStorageClass": (
        Difference(
            "Archiving moves no bytes: the image is out of use, not elsewhere. Its layers can still be read by digest.",
            "There is one disk.",
        ),
        Difference(
            "With an index go the images that only it lists and no tag names, and the referrers; back likewise.",
            "Amazon ECR's documentation leaves it open.",
        ),
        Difference(
            "A restoration compares every byte with its digest; a damaged image stays archived.",
            "What was not read for months is checked before anybody runs it.",
        ),
    ),
}
"""Operation -> differences."""
