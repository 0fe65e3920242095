"""What a template and a request may have. Everything else is refused by name, before anything is made.

What CloudFormation itself refuses it refuses in its own words, as far as they are known; what it takes and the sandbox
does not have begins with "The sandbox".
"""

import asyncio
import contextvars
import importlib
from urllib.parse import parse_qs, unquote, urlparse

SAM = "AWS::Serverless-2016-10-31"

_ACTIONS = (
    "CreateStack", "UpdateStack", "DeleteStack", "DescribeStacks", "ListStacks", "DescribeStackEvents",
    "DescribeEvents", "DescribeStackResource", "DescribeStackResources", "ListStackResources", "GetTemplate",
    "GetTemplateSummary", "ValidateTemplate", "CreateChangeSet", "DescribeChangeSet", "ExecuteChangeSet",
    "DeleteChangeSet", "ListChangeSets", "ListExports", "ListImports", "UpdateTerminationProtection",
    "CancelUpdateStack", "ContinueUpdateRollback",
)  # fmt: skip
_PARAMETERS = (
    "RoleARN", "NotificationARNs", "RollbackConfiguration", "TimeoutInMinutes", "StackPolicyBody", "StackPolicyURL",
    "StackPolicyDuringUpdateBody", "StackPolicyDuringUpdateURL", "ResourceTypes", "ResourcesToImport",
)  # fmt: skip
_SWITCHES = ("ImportExistingResources", "IncludeNestedStacks")
_FUNCTIONS = {
    "Fn::And", "Fn::Base64", "Fn::Equals", "Fn::FindInMap", "Fn::GetAtt", "Fn::If", "Fn::ImportValue", "Fn::Join",
    "Fn::Not", "Fn::Or", "Fn::Select", "Fn::Split", "Fn::Sub",
}  # fmt: skip
_SECTIONS = {
    "AWSTemplateFormatVersion", "Description", "Metadata", "Parameters", "Mappings", "Conditions", "Transform", "Rules",
    "Resources", "Outputs",
}  # fmt: skip
_ATTRIBUTES = {
    "Type", "Properties", "DependsOn", "Condition", "Metadata", "DeletionPolicy", "UpdateReplacePolicy",
}  # fmt: skip

# A template that stands in S3, read before the request is handled: (its URL, its text or the error).
_document = contextvars.ContextVar("document", default=("", None))


class _NotThere(Exception):
    """A template cannot be read; the message says why."""


def put_over(engine, known):
    """Let MiniStack's CloudFormation refuse what the sandbox does not have. known: types of resources that AWS has."""
    from ministack.services.cloudformation import changesets, handlers, helpers
    from ministack.services.cloudformation import engine as language

    apply, validate, resolve = language._apply_transforms, language.validate_template_support, helpers._resolve_document

    def apply_ours(template, *arguments):
        if problem := _of_transforms(template) or _of_functions(template):
            return language._TransformFailed(template, problem)
        try:
            return apply(template, *arguments)
        except Exception as error:
            if type(error).__name__ != "InvalidDocumentException":
                raise
            said = " ".join([error.message, *(cause.message for cause in error.causes)])
            return language._TransformFailed(template, f"Transform {SAM} failed with: {said}")

    def validate_ours(template, conditions, **arguments):
        if not isinstance(template, language._TransformFailed):
            problem = _of_transforms(template) or _of_functions(template)
            if not template.get("Transform"):
                problem = problem or _of_resources(template, known) or _unresolved(template, language)
            if problem:
                raise ValueError(problem)
        validate(template, conditions, **arguments)

    def resolve_read_before(params, body_key, url_key, label):
        url, text = _document.get()
        if url_key != "TemplateURL" or not url or helpers._p(params, body_key):
            return resolve(params, body_key, url_key, label)
        if isinstance(text, _NotThere):
            return None, helpers._error("ValidationError", str(text))
        return text, None

    for module in (language, handlers, changesets):
        module._apply_transforms, module.validate_template_support = apply_ours, validate_ours
    helpers._resolve_document = handlers._resolve_document = resolve_read_before
    execute = engine._ACTION_HANDLERS["ExecuteChangeSet"]

    def execute_described(params):
        _, change_set = changesets._find_change_set(
            helpers._p(params, "ChangeSetName"), helpers._p(params, "StackName")
        )
        answer = execute(params)
        if answer[0] == 200:
            stack = handlers._resolve_stack(change_set["StackId"])
            stack["Description"] = change_set["_template"].get("Description", "")  # MiniStack leaves it out
        return answer

    engine._ACTION_HANDLERS["ExecuteChangeSet"] = execute_described
    for action, handler in engine._ACTION_HANDLERS.items():
        engine._ACTION_HANDLERS[action] = _checked(action, handler, helpers, language._parse_template)


def _checked(action, handler, helpers, parse):
    def handle(params):
        text = helpers._p(params, "TemplateBody") or _document.get()[1]
        if problem := _of_request(action, params, helpers) or _of_text(text, parse):
            return helpers._error("ValidationError", problem)
        return handler(params)

    return handle


def _of_request(action, params, helpers):
    """What a request asks for that the sandbox does not have, as a sentence; None where there is nothing."""
    if action not in _ACTIONS:
        return f"The sandbox does not have {action}. It has {', '.join(_ACTIONS)}."
    if more := sorted({key.partition(".")[0] for key in params if key.partition(".")[0] in _PARAMETERS}):
        return f"The sandbox's {action} does not take {', '.join(more)}."
    if more := [name for name in _SWITCHES if helpers._p(params, name).lower() == "true"]:
        return f"The sandbox's {action} does not take {', '.join(more)}."
    if helpers._p(params, "ChangeSetType") == "IMPORT":
        return "The sandbox does not import resources into stacks."
    return None


def _of_text(text, parse):
    """What is wrong with the text of something that is no template at all; None where there is none.

    In CloudFormation's words, as far as they are in public reports.
    """
    if not text or isinstance(text, _NotThere):
        return None
    try:
        template = parse(text)
    except Exception as error:  # of JSON, of YAML, or of what they hold
        return f"Template format error: {error}"
    sections = [template.get(name, {}) for name in ("Parameters", "Mappings", "Conditions", "Resources", "Outputs")]
    members = [each for section in sections[3:] if isinstance(section, dict) for each in section.values()]
    properties = [each.get("Properties") or {} for each in members if isinstance(each, dict)]
    if not all(isinstance(each, dict) for each in (*sections, *members, *properties)):
        return "Template format error: unsupported structure."
    if not template.get("Resources"):
        return "Template format error: At least one Resources member must be defined."
    for name, each in template["Resources"].items():
        if not isinstance(each.get("Type"), str):
            missing = "Every Resources object must contain a Type member."
            says = "Every Type member must be a string." if "Type" in each else missing
            return f"Template format error: [/Resources/{name}] {says}"
    return None


def _of_transforms(template):
    from ministack.services.cloudformation.engine import declared_transforms

    others = [name for name in declared_transforms(template) if name != SAM]
    return f"The sandbox has no transform but {SAM}, and not {', '.join(others)}." if others else None


def _of_functions(template):
    """What is wrong with the sections of a template, or with a function or a dynamic reference in them."""
    of_sam = {"Globals"} if template.get("Transform") else set()
    if others := sorted(set(template) - _SECTIONS - of_sam):
        return f"Invalid template property or properties [{', '.join(others)}]"
    functions, references = set(), set()
    for section in ("Conditions", "Resources", "Outputs"):
        _look(template.get(section), functions, references)
    if others := sorted(functions - _FUNCTIONS):
        have = ", ".join(sorted(_FUNCTIONS))
        return f"The sandbox has no intrinsic function {', '.join(others)}. It has Ref, Condition, {have}."
    if references:
        return f"The sandbox has no dynamic references: {', '.join(sorted(references))}."
    return None


def _look(node, functions, references):
    """Add the intrinsic functions and the dynamic references in a part of a template to these sets."""
    if isinstance(node, dict):
        functions.update(key for key in node if isinstance(key, str) and key.startswith("Fn::"))
        for each in node.values():
            _look(each, functions, references)
    elif isinstance(node, list):
        for each in node:
            _look(each, functions, references)
    elif isinstance(node, str) and "{{resolve:" in node:
        references.add(node)


def _of_resources(template, known):
    """What is wrong with a type, an attribute or a property of a resource. known: types that are CloudFormation's."""
    from sandbox.cloudformation.resources import TYPES

    resources = {name: each for name, each in (template.get("Resources") or {}).items() if isinstance(each, dict)}
    missing = {each.get("Type") for each in resources.values()} - set(TYPES)
    if others := sorted(kind for kind in missing if kind in known or str(kind).startswith("Custom::")):
        return f"The sandbox does not have the resource types {', '.join(others)}. It has {', '.join(sorted(TYPES))}."
    if missing:
        return f"Template format error: Unrecognized resource types: [{', '.join(sorted(map(str, missing)))}]"
    for name, each in resources.items():
        if more := sorted(set(each) - _ATTRIBUTES):
            return f"The sandbox does not have the attributes {', '.join(more)} of a resource (here {name})."
        kind = TYPES[each["Type"]]
        if more := sorted(set(each.get("Properties") or {}) - set(kind.properties)):
            have = ", ".join(kind.properties)
            return f"The sandbox's {each['Type']} ({name}) does not have {', '.join(more)}. It has {have}."
    return None


def _unresolved(template, language):
    """Names that a template refers to and does not have, in CloudFormation's words."""
    names = set(template.get("Resources") or {}) | set(template.get("Parameters") or {})
    for section in ("Resources", "Outputs"):
        used = {name for name, _ in language._intrinsic_references(template.get(section) or {})}
        for each in (template["Resources"] if section == "Resources" else {}).values():
            needs = each.get("DependsOn") or []
            used |= {needs} if isinstance(needs, str) else set(needs)
        if missing := sorted(name for name in used - names if not name.startswith("AWS::")):
            return (
                f"Template format error: Unresolved resource dependencies [{', '.join(missing)}] in the {section} "
                "block of the template"
            )
    return None


async def with_its_document(body):
    """The body of a request, once what its template needs is there: one in S3 is read with the caller's own keys."""
    if b"Serverless-2016-10-31" in body:  # loading what transforms it takes a second, in which others want to be served
        await asyncio.to_thread(importlib.import_module, "samtranslator.translator.transform")
    _document.set(("", None))
    asked = parse_qs(body.decode("utf-8", errors="replace")) if b"TemplateURL=" in body else {}
    if url := asked.get("TemplateURL", [""])[0]:
        _document.set((url, await asyncio.to_thread(_read, url)))
    return body


def _read(url):
    """The text of a template in S3, or a _NotThere. url: of the path style or with the bucket in the host's name."""
    from sandbox.cloudformation.calls import Failed, Service

    where = urlparse(url)
    host, path = where.hostname or "", unquote(where.path).lstrip("/")
    bucket, _, rest = host.partition(".s3")
    if not rest.endswith("amazonaws.com"):
        bucket, _, path = path.partition("/")
    if not bucket or not path:
        return _NotThere(f"Invalid TemplateURL: {url}")
    try:
        text = Service("s3").get_object(Bucket=bucket, Key=path)["Body"].read()
    except Failed:
        return _NotThere(f"S3 error: The template at {url} cannot be read.")
    if len(text) > 1_000_000:
        return _NotThere("Template may not exceed 1000000 bytes in size.")
    return text.decode()
