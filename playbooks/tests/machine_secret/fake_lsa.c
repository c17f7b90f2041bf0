/* Stands for advapi32.dll: says on standard output how it was called, and keeps one secret. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { uint16_t length, maximum; uint16_t *buffer; } Text;
typedef struct { uint32_t length; void *root, *name; uint32_t attributes; void *descriptor, *quality; } Attributes;

static uint16_t kept[256];
static uint16_t kept_length;

static int is_set(const char *name) { return getenv(name) != NULL; }

static void show(const char *what, const Text *text) {
    printf(" %s=", what);
    for (int i = 0; i < text->length / 2; i++) putchar(text->buffer[i]);
    printf("/%u/%u", text->length, text->maximum);
}

uint32_t LsaOpenPolicy(void *system, Attributes *attributes, uint32_t access, void **policy) {
    printf("open-policy local=%d attributes=%d access=%x\n", system == NULL,
           attributes->length == sizeof *attributes, access);
    if (is_set("FAKE_LSA_DENIES")) return 0xC0000022;
    *policy = (void *)1;
    return 0;
}

uint32_t LsaOpenSecret(void *policy, Text *name, uint32_t access, void **secret) {
    printf("open-secret policy=%d access=%x", policy == (void *)1, access);
    show("name", name);
    printf("\n");
    if (kept_length == 0) return 0xC0000034;
    *secret = (void *)2;
    return 0;
}

uint32_t LsaCreateSecret(void *policy, Text *name, uint32_t access, void **secret) {
    printf("create-secret policy=%d access=%x", policy == (void *)1, access);
    show("name", name);
    printf("\n");
    *secret = (void *)2;
    return 0;
}

uint32_t LsaQuerySecret(void *secret, Text **value, int64_t *time, Text **old, int64_t *old_time) {
    printf("query-secret secret=%d value=%d time=%d old=%d old-time=%d\n", secret == (void *)2,
           value != NULL, time != NULL, old != NULL, old_time != NULL);
    if (time) *time = 134000000000000000LL;
    if (value) {
        *value = malloc(sizeof **value);
        (*value)->length = (*value)->maximum = kept_length;
        (*value)->buffer = malloc(kept_length);
        memcpy((*value)->buffer, kept, kept_length);
    }
    return 0;
}

uint32_t LsaSetSecret(void *secret, Text *value, Text *old) {
    printf("set-secret secret=%d", secret == (void *)2);
    show("value", value);
    show("old", old);
    printf(" terminated=%d\n", value->buffer[value->length / 2] == 0);
    if (is_set("FAKE_LSA_REFUSES")) return 0xC00000BB;
    kept_length = value->length;
    memcpy(kept, value->buffer, value->length);
    return 0;
}

uint32_t LsaClose(void *handle) {
    printf("close %d\n", (int)(intptr_t)handle);
    return 0;
}

uint32_t LsaFreeMemory(void *memory) {
    Text *text = memory;
    int blank = 1;
    for (int i = 0; i < text->length / 2; i++) blank &= text->buffer[i] == 0;
    printf("free blank=%d\n", blank);
    free(text->buffer);
    free(text);
    return 0;
}

uint32_t LsaNtStatusToWinError(uint32_t status) {
    return status == 0xC0000022 ? 5 : status == 0xC00000BB ? 50 : 31;
}
