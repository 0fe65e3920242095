"""CloudFormation: MiniStack keeps stacks, change sets and events, and resources are made here.

MiniStack makes a resource by writing it into its services' own records, past what watches over a request: a definition
that AWS refuses would be taken, and a role's permissions never looked at. Here a resource is made by the calls that
AWS's own resource handlers make, with boto3, at the sandbox's own door and with the keys of whoever changes the stack
(https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/control-access-with-iam.html). So a stack can do what
its owner can, and what is in it is the same as if it had been made by hand.

    templates   what a template and a request may have; all else is refused by name
    resources   what each type of resource is made of, changed by and deleted by
    calls       the calls, and how AWS words it where one fails

All of it, and AWS's own transform of SAM templates, is loaded with the first request to CloudFormation.
"""


def install():
    """Put this over MiniStack's CloudFormation once that is loaded."""
    from ministack import app

    get_module = app._get_module
    put = []

    def get_module_with_ours(name):
        module = get_module(name)
        if name == "cloudformation" and not put:
            put.append(name)
            _put_over(module)
        return module

    app._get_module = get_module_with_ours


def reset():
    """Nothing is kept."""


def abandon():
    """The account is about to be emptied: stacks that are under way make nothing more."""
    from sandbox.cloudformation import calls

    calls.forget()


def _put_over(engine):
    from ministack.services.cloudformation import provisioners, stacks

    from sandbox.cloudformation import calls, resources, templates

    known = set(provisioners._RESOURCE_HANDLERS)
    provisioners._RESOURCE_HANDLERS.clear()
    for name, kind in resources.TYPES.items():
        provisioners._RESOURCE_HANDLERS[name] = resources.handlers(kind)
        provisioners._REPLACING_PROPERTIES[name] = kind.replaced_by
        provisioners._CONDITIONALLY_REPLACING_PROPERTIES.pop(name, None)
        provisioners._CUSTOM_NAME_REPLACEMENT[name] = {"name": kind.name}
    provisioners._replacing_change = stacks._replacing_change = resources.is_another
    # Whatever makes a resource calls the sandbox itself, which answers in the thread that would wait for it.
    stacks._runs_on_worker_thread = lambda resource_type: True
    templates.put_over(engine, known)

    handle = engine.handle_request

    async def handle_noted(method, path, headers, body, query_params):
        calls.acts_for(headers, query_params)
        return await handle(method, path, headers, await templates.with_its_document(body), query_params)

    engine.handle_request = handle_noted
