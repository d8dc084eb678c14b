package org.threegate.kernel;

import java.util.function.LongToIntFunction;
import org.threegate.buffer.NativeBuffer;
import org.threegate.spi.Structs;

/** Queries, allocates and frees the workspace of a kernel. */
final class Workspace {
  /** Bytes of two structs: the size of the workspace, and the workspace. */
  static final int STRUCT_BYTES = Structs.WorkspaceSize.SIZEOF + Structs.Workspace.SIZEOF;

  private Workspace() {}

  /**
   * Runs a kernel with a workspace.
   *
   * @param at position of the two structs in {@code structs}, in bytes
   * @param query receives the address of a {@code tg_workspace_size}
   * @param kernel receives the address of a {@code tg_workspace}
   */
  static void use(
      Context context,
      Context.Call call,
      NativeBuffer structs,
      long at,
      LongToIntFunction query,
      LongToIntFunction kernel) {
    long workspaceAt = at + Structs.WorkspaceSize.SIZEOF;
    try (NativeBuffer.Lease own = structs.lease()) {
      structs.putLong(at + Structs.WorkspaceSize.SIZE, Structs.WorkspaceSize.SIZEOF);
      call.check(query.applyAsInt(own.address() + at));
      long bytes = structs.getLong(at + Structs.WorkspaceSize.HOST_BYTES);
      try (NativeBuffer memory = context.allocate(bytes);
          NativeBuffer.Lease lease = memory.lease()) {
        structs
            .putLong(workspaceAt + Structs.Workspace.SIZE, Structs.Workspace.SIZEOF)
            .putLong(workspaceAt + Structs.Workspace.HOST, lease.address())
            .putLong(workspaceAt + Structs.Workspace.HOST_BYTES, bytes)
            .putLong(workspaceAt + Structs.Workspace.DEVICE, 0)
            .putLong(workspaceAt + Structs.Workspace.DEVICE_BYTES, 0);
        call.check(kernel.applyAsInt(own.address() + workspaceAt));
      }
    }
  }
}
