/* SoftHSM with faults: a test says in the file $BOOTWARD_FAULTS what goes wrong, one line each:
 *
 *   C_Sign sleep 500        sleeps for that many ms before each call
 *   C_Sign fail 50 1 7      answers this CK_RV (decimal) for that many calls, then is well; counted under 7
 *   C_Sign flip             answers a signature with one bit changed
 *   token flags 65536       sets these bits in CK_TOKEN_INFO
 *
 * Each call of a function that is named here is one line in $BOOTWARD_FAULTS.log. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <pkcs11.h>

static CK_FUNCTION_LIST faulty;
static CK_FUNCTION_LIST_PTR real;
static long answered[256];

static void note(const char *function) {
  char path[4096];
  snprintf(path, sizeof path, "%s.log", getenv("BOOTWARD_FAULTS"));
  FILE *log = fopen(path, "a");
  if (!log) return;
  fprintf(log, "%s\n", function);
  fclose(log);
}

/* Whether the file has a line of this function and this kind, and its numbers. */
static int fault(const char *function, const char *kind, long number[3]) {
  FILE *file = fopen(getenv("BOOTWARD_FAULTS"), "r");
  char line[256], name[64], what[64];
  int found = 0;
  if (!file) return 0;
  while (!found && fgets(line, sizeof line, file)) {
    number[0] = number[1] = number[2] = 0;
    if (sscanf(line, "%63s %63s %ld %ld %ld", name, what, number, number + 1, number + 2) < 2) continue;
    found = strcmp(name, function) == 0 && strcmp(what, kind) == 0;
  }
  fclose(file);
  return found;
}

static CK_RV before(const char *function) {
  long number[3];
  note(function);
  if (fault(function, "sleep", number)) {
    struct timespec pause = {number[0] / 1000, number[0] % 1000 * 1000000};
    nanosleep(&pause, NULL);
  }
  if (fault(function, "fail", number) && answered[number[2] & 255]++ < number[1]) return (CK_RV)number[0];
  return CKR_OK;
}

static CK_RV sign_init(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key) {
  CK_RV rv = before("C_SignInit");
  return rv == CKR_OK ? real->C_SignInit(session, mechanism, key) : rv;
}

static CK_RV sign(CK_SESSION_HANDLE session, CK_BYTE_PTR data, CK_ULONG length, CK_BYTE_PTR out, CK_ULONG_PTR size) {
  long number[3];
  CK_RV rv = before("C_Sign");
  if (rv != CKR_OK) return rv;
  rv = real->C_Sign(session, data, length, out, size);
  if (fault("C_Sign", "flip", number)) out[*size - 1] ^= 1;
  return rv;
}

static CK_RV login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR_PTR pin, CK_ULONG length) {
  CK_RV rv = before("C_Login");
  return rv == CKR_OK ? real->C_Login(session, user, pin, length) : rv;
}

static CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, CK_VOID_PTR app, CK_NOTIFY notify, CK_SESSION_HANDLE_PTR out) {
  CK_RV rv = before("C_OpenSession");
  return rv == CKR_OK ? real->C_OpenSession(slot, flags, app, notify, out) : rv;
}

static CK_RV token_info(CK_SLOT_ID slot, CK_TOKEN_INFO_PTR info) {
  long number[3];
  CK_RV rv = real->C_GetTokenInfo(slot, info);
  if (rv == CKR_OK && fault("token", "flags", number)) info->flags |= (CK_FLAGS)number[0];
  return rv;
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR list) {
  void *library = dlopen("/usr/lib/softhsm/libsofthsm2.so", RTLD_NOW | RTLD_LOCAL);
  CK_RV (*get)(CK_FUNCTION_LIST_PTR_PTR) = library ? dlsym(library, "C_GetFunctionList") : NULL;
  if (!get) return CKR_GENERAL_ERROR;
  CK_RV rv = get(&real);
  if (rv != CKR_OK) return rv;
  faulty = *real;
  faulty.C_SignInit = sign_init;
  faulty.C_Sign = sign;
  faulty.C_Login = login;
  faulty.C_OpenSession = open_session;
  faulty.C_GetTokenInfo = token_info;
  *list = &faulty;
  return CKR_OK;
}
