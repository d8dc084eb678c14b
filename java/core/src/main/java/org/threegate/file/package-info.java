/** Reading files that nobody vouches for, and writing files and directories completely or not. */
package org.threegate.file;
