#!/usr/bin/env python3
"""Runs commands on a lab PC with pywinrm and pypsrp, two WinRM clients nobody here wrote.

    pywinrm_pypsrp.py --host 127.0.0.1 --http-port 5985 --https-port 5986 --ca lab-ca.pem \
        --user admin --password-file FILE [--cases FILE]

The password is the first line of FILE. CASES is a JSON list of objects with `line` (program and
arguments) and any of `stdin`, `stdout`, `stderr` (exact text), `stdout_length`, `exit`
(default 0); without it `hostname` must print one line and end with 0.

Every case runs over every way in: pywinrm over HTTP (NTLM, messages sealed) and over HTTPS,
pypsrp over HTTP and over HTTPS with `ntlm` and with `negotiate` (SPNEGO). Then a wrong password
must be refused, once for each client. The last line is `N passed, M failed`; the exit code is 0
only if none failed.
"""

import argparse
import json
import sys
import traceback

import winrm.exceptions
from pypsrp.exceptions import AuthenticationError
from pypsrp.shell import Process, SignalCode, WinRS
from pypsrp.wsman import WSMan
from winrm.protocol import Protocol

DEFAULT_CASES = [{"line": ["hostname"]}]
TIMEOUT = 20


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", required=True)
    parser.add_argument("--http-port", type=int, required=True)
    parser.add_argument("--https-port", type=int)
    parser.add_argument("--ca", help="PEM file of the lab's authority")
    parser.add_argument("--user", required=True)
    parser.add_argument("--password-file", required=True)
    parser.add_argument("--cases", help="JSON file")
    parser.add_argument("--no-wrong-password", action="store_true",
                        help="skip the refused logons (an account may be locked by them)")
    return parser.parse_args()


def pywinrm(args, tls, password):
    scheme, port = ("https", args.https_port) if tls else ("http", args.http_port)
    return Protocol(
        endpoint=f"{scheme}://{args.host}:{port}/wsman",
        transport="ntlm",
        username=args.user,
        password=password,
        ca_trust_path=args.ca if tls else None,
        server_cert_validation="validate" if tls else "ignore",
        message_encryption="auto" if tls else "always",
        operation_timeout_sec=TIMEOUT,
        read_timeout_sec=TIMEOUT + 10,
    )


def run_pywinrm(args, tls, case, password):
    protocol = pywinrm(args, tls, password)
    shell = protocol.open_shell(codepage=65001)
    try:
        program, *rest = case["line"]
        command = protocol.run_command(shell, program, rest)
        try:
            if "stdin" in case:
                protocol.send_command_input(shell, command, case["stdin"].encode(), end=True)
            out, err, code = protocol.get_command_output(shell, command)
        finally:
            protocol.cleanup_command(shell, command)
    finally:
        protocol.close_shell(shell)
    return out, err, code


def run_pypsrp(args, tls, auth, case, password):
    wsman = WSMan(
        args.host,
        port=args.https_port if tls else args.http_port,
        ssl=tls,
        auth=auth,
        username=args.user,
        password=password,
        encryption="auto" if tls else "always",
        cert_validation=args.ca if tls else True,
        operation_timeout=TIMEOUT,
        read_timeout=TIMEOUT + 10,
        no_proxy=True,
    )
    with wsman, WinRS(wsman, codepage=65001) as shell:
        program, *rest = case["line"]
        process = Process(shell, program, rest)
        process.begin_invoke()
        if "stdin" in case:
            process.send(case["stdin"].encode(), end=True)
        process.end_invoke()
        process.signal(SignalCode.CTRL_C)
    return process.stdout, process.stderr, process.rc


def judge(case, result):
    out, err, code = result
    wrong = []
    if code != case.get("exit", 0):
        wrong.append(f"exit code {code}")
    if "stdout" in case and out != case["stdout"].encode():
        wrong.append(f"stdout {out[:80]!r}")
    if "stderr" in case and err != case["stderr"].encode():
        wrong.append(f"stderr {err[:80]!r}")
    if "stdout_length" in case and len(out) != case["stdout_length"]:
        wrong.append(f"{len(out)} bytes of stdout")
    if "stdout" not in case and "stdout_length" not in case and not out.strip():
        wrong.append("no stdout")
    return wrong


def main():
    args = arguments()
    with open(args.password_file, encoding="utf-8") as file:
        password = file.readline().rstrip("\r\n")
    cases = DEFAULT_CASES
    if args.cases:
        with open(args.cases, encoding="utf-8") as file:
            cases = json.load(file)
    ways = [
        ("pywinrm http ntlm", winrm.exceptions.InvalidCredentialsError,
         lambda case, word: run_pywinrm(args, False, case, word)),
        ("pypsrp http ntlm", AuthenticationError,
         lambda case, word: run_pypsrp(args, False, "ntlm", case, word)),
        ("pypsrp http negotiate", AuthenticationError,
         lambda case, word: run_pypsrp(args, False, "negotiate", case, word)),
    ]
    if args.https_port:
        ways += [
            ("pywinrm https ntlm", winrm.exceptions.InvalidCredentialsError,
             lambda case, word: run_pywinrm(args, True, case, word)),
            ("pypsrp https ntlm", AuthenticationError,
             lambda case, word: run_pypsrp(args, True, "ntlm", case, word)),
            ("pypsrp https negotiate", AuthenticationError,
             lambda case, word: run_pypsrp(args, True, "negotiate", case, word)),
        ]
    passed = failed = 0
    for name, refusal, run in ways:
        for case in cases:
            label = f"{name}: {' '.join(case['line'])[:60]}"
            try:
                wrong = judge(case, run(case, password))
            except Exception:  # any failure of a peer is a finding, not the end
                wrong = [traceback.format_exc(limit=-3)]
            print(f"{'FAILED' if wrong else 'ok'}  {label}{': ' if wrong else ''}{'; '.join(wrong)}")
            passed, failed = passed + (not wrong), failed + bool(wrong)
        if args.no_wrong_password:
            continue
        try:
            run(cases[0], password + "x")
            wrong = "a wrong password was accepted"
        except refusal:
            wrong = ""
        except Exception as error:  # the wrong kind of refusal
            wrong = repr(error)
        print(f"{'FAILED' if wrong else 'ok'}  {name}: wrong password{': ' if wrong else ''}{wrong}")
        passed, failed = passed + (not wrong), failed + bool(wrong)
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
