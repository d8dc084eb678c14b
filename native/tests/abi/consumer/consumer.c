/* Prints what the library reports, and the libraries that the process has loaded. */
#include <stdio.h>
#include <string.h>
#include <threegate/threegate.h>

int main(void) {
  tg_capabilities machine = {.size = sizeof machine};
  if (tg_abi_version() < TG_ABI_VERSION || tg_capabilities_query(&machine) != TG_OK) {
    return 1;
  }
  printf("threegate %s, %d threads, %s\nCUDA: %s\n", machine.version, machine.hardware_threads, machine.blas,
         machine.cuda_reason);
  FILE* maps = fopen("/proc/self/maps", "r");
  char line[4096];
  char last[4096] = "";
  while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
    const char* path = strchr(line, '/');
    if (path != NULL && strstr(path, ".so") != NULL && strcmp(path, last) != 0) {
      strcpy(last, path);
      printf("%s", path);
    }
  }
  return 0;
}
