#include <stdio.h>
#include <threegate/threegate.h>

int main(void) {
  tg_capabilities machine = {.size = sizeof machine};
  if (tg_abi_version() != TG_ABI_VERSION || tg_capabilities_query(&machine) != TG_OK) {
    return 1;
  }
  return printf("threegate %s, %d threads\n", machine.version, machine.hardware_threads) < 0;
}
