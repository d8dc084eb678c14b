/** The thin API: contexts, mapped files and one class a kernel family. */
package org.threegate.kernel;
