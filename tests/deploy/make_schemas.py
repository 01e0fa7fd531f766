#!/usr/bin/python3
"""
Makes tests/deploy/schemas.json: the JSON schemas of the kinds that deploy/kubernetes uses, and of what they refer to.

They are taken from the npm packages `kubernetes-models` (Kubernetes' own OpenAPI document, of release 1.26) and
`@kubernetes-models/prometheus-operator`, whose modules hold each schema as JSON. Descriptions are left out, and what a
schema does not name is refused, as `kubectl apply --validate=strict` does: a misspelt field is a failure. Only who adds
a kind runs this; the tests read the file and need no network.

    cd $(mktemp -d) && npm pack kubernetes-models@3.1.0 @kubernetes-models/apimachinery@1.2.1 \
        @kubernetes-models/prometheus-operator@1.6.3 && for f in *.tgz; do mkdir ${f%.tgz}; tar xzf $f -C ${f%.tgz}; done
    tests/deploy/make_schemas.py $OLDPWD/… > tests/deploy/schemas.json
"""

import json
import pathlib
import re
import sys

KINDS = {
    "apps/v1 Deployment": "io.k8s.api.apps.v1.Deployment",
    "apps/v1 StatefulSet": "io.k8s.api.apps.v1.StatefulSet",
    "batch/v1 Job": "io.k8s.api.batch.v1.Job",
    "v1 Service": "io.k8s.api.core.v1.Service",
    "v1 ServiceAccount": "io.k8s.api.core.v1.ServiceAccount",
    "v1 ConfigMap": "io.k8s.api.core.v1.ConfigMap",
    "v1 Secret": "io.k8s.api.core.v1.Secret",
    "autoscaling/v2 HorizontalPodAutoscaler": "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler",
    "policy/v1 PodDisruptionBudget": "io.k8s.api.policy.v1.PodDisruptionBudget",
    "networking.k8s.io/v1 NetworkPolicy": "io.k8s.api.networking.v1.NetworkPolicy",
    "networking.k8s.io/v1 Ingress": "io.k8s.api.networking.v1.Ingress",
}
CUSTOM_KINDS = {
    "monitoring.coreos.com/v1 ServiceMonitor": "com.coreos.monitoring.v1.ServiceMonitor",
    "monitoring.coreos.com/v1 PrometheusRule": "com.coreos.monitoring.v1.PrometheusRule",
}
SCHEMA = re.compile(r"^const schema = (\{.*?^\});", re.MULTILINE | re.DOTALL)


def read(path):
    return json.loads(SCHEMA.search(path.read_text(encoding="utf-8"))[1])


def module_of(name):
    """io.k8s.api.apps.v1.Deployment is in IoK8sApiAppsV1Deployment.js."""
    return "".join(part[0].upper() + part[1:] for part in re.split(r"[.\-]", name)) + ".js"


def strict(node, wanted):
    """Without descriptions, closed to unknown members, and with references into one document; notes what it refers to."""
    if isinstance(node, list):
        return [strict(item, wanted) for item in node]
    if not isinstance(node, dict):
        return node
    if isinstance(node.get("$ref"), str):
        name = node["$ref"].rstrip("#")
        wanted.add(name)
        return {"$ref": f"#/definitions/{name}"}
    made = {}
    for key, value in node.items():
        if key == "properties":
            made[key] = {name: strict(schema, wanted) for name, schema in value.items()}
        elif key == "format":
            continue  # int32 and such, which are Kubernetes' own
        elif key != "description" or isinstance(value, dict):
            made[key] = strict(value, wanted)
    if "properties" in made and not node.get("x-kubernetes-preserve-unknown-fields"):
        made.setdefault("additionalProperties", False)
    return made


def main():
    folder = pathlib.Path(sys.argv[1])
    modules = {path.name: path for path in folder.glob("*/package/_schemas/*.js")}
    definitions, wanted = {}, set(KINDS.values())
    for kind, name in CUSTOM_KINDS.items():
        path = next(folder.glob(f"*/package/monitoring.coreos.com/v1/{kind.split()[1]}.js"))
        definitions[name] = strict(read(path), wanted)
    while wanted - definitions.keys():
        name = min(wanted - definitions.keys())
        definitions[name] = strict(read(modules[module_of(name)]), wanted)
    json.dump({"kinds": {**KINDS, **CUSTOM_KINDS}, "definitions": definitions}, sys.stdout, sort_keys=True, separators=(",", ":"))
    print()


main()
