/** Native memory with checked access and a defined lifetime. */
package org.threegate.buffer;
