/** A program of a named module. */
module example.modules {
  requires org.threegate;
}
