/** Reading untrusted files, and writing files and directories atomically. */
package org.threegate.file;
