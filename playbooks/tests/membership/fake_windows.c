/* Stands for advapi32.dll, kernel32.dll and netapi32.dll: says on standard output how it was called. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint16_t made[] = {'B', 'L', 'O', 'B', '=', 0};

static void show(const char *what, const uint16_t *text) {
    printf(" %s=", what);
    if (text == NULL) { printf("null"); return; }
    for (; *text; text++) putchar(*text);
}

uint32_t NetJoinDomain(const uint16_t *server, const uint16_t *domain, const uint16_t *unit,
                       const uint16_t *account, const uint16_t *password, uint32_t options) {
    printf("join");
    show("server", server); show("domain", domain); show("unit", unit);
    show("account", account); show("password", password);
    printf(" options=%x\n", options);
    return getenv("FAKE_JOIN") ? (uint32_t)atoi(getenv("FAKE_JOIN")) : 0;
}

uint32_t NetUnjoinDomain(const uint16_t *server, const uint16_t *account, const uint16_t *password, uint32_t options) {
    printf("unjoin");
    show("server", server); show("account", account); show("password", password);
    printf(" options=%x\n", options);
    return 0;
}

uint32_t NetRequestOfflineDomainJoin(const uint8_t *blob, uint32_t bytes, uint32_t options, const uint16_t *windows) {
    printf("request bytes=");
    for (uint32_t i = 0; i < bytes; i++) printf("%02x", blob[i]);
    printf(" options=%x", options);
    show("windows", windows);
    printf("\n");
    return 2713;
}

uint32_t LogonUserW(const uint16_t *name, const uint16_t *domain, const uint16_t *password, uint32_t kind,
                    uint32_t provider, void **token) {
    printf("logon");
    show("name", name); show("domain", domain); show("password", password);
    printf(" kind=%u provider=%u\n", kind, provider);
    *token = (void *)3;
    return 1;
}

uint32_t ImpersonateLoggedOnUser(void *token) { printf("impersonate token=%d\n", token == (void *)3); return 1; }

uint32_t RevertToSelf(void) { printf("revert\n"); return 1; }

uint32_t CloseHandle(void *handle) { printf("close token=%d\n", handle == (void *)3); return 1; }

uint32_t NetProvisionComputerAccount(const uint16_t *domain, const uint16_t *machine, const uint16_t *unit,
                                     const uint16_t *dc, uint32_t options, void **blob, uint32_t *bytes,
                                     uint16_t **text) {
    printf("provision");
    show("domain", domain); show("machine", machine); show("unit", unit); show("dc", dc);
    printf(" options=%x blob=%d bytes=%d\n", options, blob != NULL, bytes != NULL);
    if (getenv("FAKE_PROVISION")) return (uint32_t)atoi(getenv("FAKE_PROVISION"));
    *text = made;
    return 0;
}

uint32_t NetApiBufferFree(void *buffer) {
    int blank = buffer == made;
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) blank = blank && made[i] == 0;
    printf("free blank=%d\n", blank);
    return 0;
}
