/** Finding, unpacking and loading the native library. */
package org.threegate.loading;
