# The GitLab fake for a test, and what a job in a merge request's pipeline has in its environment.

job_of_merge_request() {
    export CI_SERVER_URL=https://gitlab.example CI_PROJECT_ID=1 CI_MERGE_REQUEST_PROJECT_ID=1 CI_MERGE_REQUEST_IID=7 CI_PIPELINE_ID=118
    export CI_JOB_URL=https://gitlab.example/shop/sections/-/jobs/44
}

teardown() {
    [ -z "${server:-}" ] || kill "$server" 2>/dev/null || true
}

# gitlab [option ...]: starts the fake at $origin; its requests are in `log`
gitlab() {
    /usr/bin/python3 "$TOP/tests/fake/gitlab.py" --port-file port --log log --token good-token:ml-bot --job-token job-token "$@" 3>&- &
    server=$!
    origin=http://127.0.0.1:$(port_in port)
    export CI_API_V4_URL=$origin/api/v4 ML_GITLAB_TOKEN=good-token
}
