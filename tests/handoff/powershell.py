"""A stand-in for powershell.exe behind the step channel: answers each script as it was recorded."""

import base64
import hashlib
import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    answers = json.load(file)
log = open(sys.argv[2], "a", encoding="utf-8")
print("some other output, which is not an answer")
first = "???"  # as the answer to the first request is where the console is UTF-8
for line in sys.stdin:
    marker, number, script, params = line.split()
    text = base64.b64decode(script)
    digest = hashlib.sha256(text).hexdigest()
    print(base64.b64decode(params).decode("utf-8"), file=log, flush=True)
    queue = answers[digest]
    answer = queue.pop(0) if len(queue) > 1 else queue[0]
    reply = {"ok": True, "answer": answer, "diag": []}
    sys.stdout.write("\n%s%s %s %s\n" % (first, marker, number, json.dumps(reply)))
    sys.stdout.flush()
    first = ""
