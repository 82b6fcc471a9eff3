"""Real clients against a running registry: log in, push, be refused, push again, pull, compare.

    make interop                                  install what can be had, then run everything
    python tests/interop/install.py               only install, and say what is there and what is not
    python -m pytest tests/interop                only run; a client that is not there is skipped by name
    HOLDFAST_INTEROP_REPORT=out ...               also write the matrix to out/matrix.md and out/matrix.json
    HOLDFAST_INTEROP_REGISTRY=127.0.0.1:5000 ...  a registry that runs already, with HOLDFAST_INTEROP_USER and
                                                  HOLDFAST_INTEROP_PASSWORD (an administrator's access key pair)
    HOLDFAST_TEST_TERRAFORM_PLUGINS=dir ...       a folder of Terraform providers, as `terraform init -plugin-dir` wants
    HOLDFAST_INTEROP_CLIENTS=dir ...              where clients are installed (default ~/.cache/holdfast/clients)

To add a client: one row in `clients.py` says how it is found and installed. If it pushes container images, one small
class in `drivers.py` says how it logs in, pushes and pulls, and `test_images.py` does the rest. If it does something
else, it gets a test function of its own, as helm, cosign and Terraform have.

| file | decides |
|---|---|
| clients.py | which clients there are, in which version, from where |
| install.py, provision.py | getting them |
| images.py | what is pushed |
| service.py | the registry under test, and how the suite looks behind a client's back |
| programs.py, workbench.py | how a program is run: bounded in time, in an environment of its own |
| engines.py, aws_names.py | what stands between: dockerd, containerd, a proxy for AWS's host names |
| drivers.py, speakers.py | the words of each image client, of each speaker of the ECR API |
| judging.py | what must come of each step |
| report.py | the matrix |
"""
