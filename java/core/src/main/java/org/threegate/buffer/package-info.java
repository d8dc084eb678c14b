/** Native memory with an owner. */
package org.threegate.buffer;
