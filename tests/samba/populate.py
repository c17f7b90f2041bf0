#!/usr/bin/python3
"""Fills a freshly provisioned domain: units, delegated accounts, LAPS schema, policies.

Runs on the domain controller before Samba starts, on its database directly:

    populate.py LOCKOUT_THRESHOLD (bin | tombstones) <PASSWORD_OF_THE_ACCOUNTS
"""

import sys
import uuid

import ldb
from samba.auth import system_session
from samba.dsdb import DS_DOMAIN_FUNCTION_2008_R2
from samba.param import LoadParm
from samba.samdb import SamDB

MINUTE = -60 * 10**7  # intervals count in negative steps of 100 ns

# What each account may do with computers below OU=端末, as directory ACEs. The account itself is
# put in where the braces are. Nothing here is granted on the domain as a whole.
COMPUTER = "bf967a86-0de6-11d0-a285-00aa003049e2"
RESET_PASSWORD = "CR;00299570-246d-11d0-a768-00aa006e0529"
WRITE_ACCOUNT_CONTROL = "WP;bf967a68-0de6-11d0-a285-00aa003049e2"
WRITE_LOCKOUT_TIME = "WP;28630ebf-41d5-11d1-a9c1-0000f80367c1"
ACCOUNT_RESTRICTIONS = "WP;4c164200-20c0-11d0-a768-00aa006e0529"
VALIDATED_DNS_NAME = "SW;72e39547-7b18-11d1-adef-00c04fd8d5cd"
VALIDATED_SPN = "SW;f3a64788-5306-11d1-a9c5-0000f80367c1"
RIGHTS = {
    "svc-reset": [RESET_PASSWORD],
    "svc-enable": [RESET_PASSWORD, WRITE_ACCOUNT_CONTROL, WRITE_LOCKOUT_TIME],
    "svc-join": [RESET_PASSWORD, ACCOUNT_RESTRICTIONS, VALIDATED_DNS_NAME, VALIDATED_SPN],
    "svc-laps": [],
    "svc-none": [],
}

# Both generations of LAPS: names, OIDs, syntaxes and search flags as published; 904 includes
# "confidential". The schema ids are made up, for a reader must take them from the schema anyway.
LEGACY = "1.2.840.113556.1.8000.2554.50051.45980.28112.18903.35903.6685103.1224907.2"
STRING, LARGE_INTEGER, OCTETS = ("2.5.5.5", "19"), ("2.5.5.16", "65"), ("2.5.5.10", "4")
LAPS = [
    ("ms-Mcs-AdmPwd", "ms-Mcs-AdmPwd", f"{LEGACY}.1", STRING, 904),
    ("ms-Mcs-AdmPwdExpirationTime", "ms-Mcs-AdmPwdExpirationTime", f"{LEGACY}.2", LARGE_INTEGER, 0),
    ("ms-LAPS-PasswordExpirationTime", "msLAPS-PasswordExpirationTime",
     "1.2.840.113556.1.6.44.1.1", LARGE_INTEGER, 0),
    ("ms-LAPS-Password", "msLAPS-Password", "1.2.840.113556.1.6.44.1.2", STRING, 904),
    ("ms-LAPS-EncryptedPassword", "msLAPS-EncryptedPassword",
     "1.2.840.113556.1.6.44.1.3", OCTETS, 904),
]
SECRET_LAPS = ["ms-Mcs-AdmPwd", "msLAPS-Password", "msLAPS-EncryptedPassword"]

RECYCLE_BIN = "766ddcd8-acd0-445e-f3b9-a7f9b6744f2a"


def schema_id(name):
    return uuid.uuid5(uuid.NAMESPACE_DNS, name)


def modify(db, dn, **values):
    message = ldb.Message(ldb.Dn(db, dn))
    for name, value in values.items():
        message[name] = ldb.MessageElement(str(value), ldb.FLAG_MOD_REPLACE, name)
    db.modify(message)


def extend_schema(db):
    schema = str(db.get_schema_basedn())
    for common_name, name, oid, (syntax, om_syntax), flags in LAPS:
        db.add({
            "dn": f"CN={common_name},{schema}",
            "objectClass": "attributeSchema",
            "lDAPDisplayName": name,
            "attributeID": oid,
            "attributeSyntax": syntax,
            "oMSyntax": om_syntax,
            "isSingleValued": "TRUE",
            "searchFlags": str(flags),
            "schemaIDGUID": schema_id(name).bytes_le,
        })
    modify(db, "", schemaUpdateNow=1)
    message = ldb.Message(ldb.Dn(db, f"CN=Computer,{schema}"))
    names = [name for _, name, _, _, _ in LAPS]
    message["mayContain"] = ldb.MessageElement(names, ldb.FLAG_MOD_ADD, "mayContain")
    db.modify(message)
    modify(db, "", schemaUpdateNow=1)


def sid_of(db, account):
    found = db.search(db.domain_dn(), expression=f"(sAMAccountName={account})", attrs=["objectSid"])
    return db.schema_format_value("objectSid", found[0]["objectSid"][0]).decode()


def delegate(db, unit):
    """Appends what RIGHTS grants to the unit's access list."""
    aces = []
    for account, rights in RIGHTS.items():
        sid = sid_of(db, account)
        aces += [f"(OA;CIIO;{right};{COMPUTER};{sid})" for right in rights]
    reader = sid_of(db, "svc-laps")
    aces += [f"(OA;CIIO;RPCR;{schema_id(name)};{COMPUTER};{reader})" for name in SECRET_LAPS]
    aces.append(f"(OA;CI;CC;{COMPUTER};;{sid_of(db, 'svc-join')})")

    from samba.dcerpc import security
    from samba.ndr import ndr_pack, ndr_unpack
    found = db.search(unit, scope=ldb.SCOPE_BASE, attrs=["nTSecurityDescriptor"])
    old = ndr_unpack(security.descriptor, found[0]["nTSecurityDescriptor"][0])
    domain = security.dom_sid(db.get_domain_sid())
    text = old.as_sddl(domain)
    # The discretionary list ends where the audit list begins, if there is one.
    head, audit, tail = text.partition("S:") if "S:" in text else (text, "", "")
    new = security.descriptor.from_sddl(head + "".join(aces) + audit + tail, domain)
    message = ldb.Message(ldb.Dn(db, unit))
    message["nTSecurityDescriptor"] = ldb.MessageElement(
        ndr_pack(new), ldb.FLAG_MOD_REPLACE, "nTSecurityDescriptor")
    db.modify(message)


def enable_recycle_bin(db):
    message = ldb.Message(ldb.Dn(db, ""))
    partitions = f"CN=Partitions,{db.get_config_basedn()}"
    message["enableOptionalFeature"] = ldb.MessageElement(
        f"{partitions}:{RECYCLE_BIN}", ldb.FLAG_MOD_REPLACE, "enableOptionalFeature")
    db.modify(message)


def main():
    threshold, deleted = sys.argv[1:]
    password = sys.stdin.readline().rstrip("\n")
    settings = LoadParm()
    settings.load_default()
    settings.set("dsdb:schema update allowed", "yes")
    db = SamDB("/var/lib/samba/private/sam.ldb", session_info=system_session(), lp=settings)
    extend_schema(db)
    db = SamDB("/var/lib/samba/private/sam.ldb", session_info=system_session(), lp=settings)

    domain = db.domain_dn()
    unit = f"OU=端末,{domain}"
    db.add({"dn": unit, "objectClass": "organizationalUnit", "description": "教室の端末"})
    db.add({"dn": f"OU=第1教室,{unit}", "objectClass": "organizationalUnit"})
    for account in RIGHTS:
        db.newuser(account, password)
        db.setexpiry(f"(sAMAccountName={account})", 0, no_expiry_req=True)
    modify(db, domain, lockoutThreshold=threshold,
           lockoutDuration=30 * MINUTE, lockOutObservationWindow=30 * MINUTE)
    delegate(db, unit)
    if deleted == "bin":
        enable_recycle_bin(db)


main()
