# find_package(threegate) and pkg-config for the installed library.
include(CMakePackageConfigHelpers)

install(TARGETS threegate EXPORT threegate-targets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET threegate_static)
  install(TARGETS threegate_static EXPORT threegate-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
install(DIRECTORY include/threegate DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
# In a directory of its own, OpenBLAS is not found in the place of a library of the system.
foreach(file ${THREEGATE_OPENBLAS_FILES})
  install(FILES "${THREEGATE_OPENBLAS_DIRECTORY}/${file}" DESTINATION ${CMAKE_INSTALL_LIBDIR}/threegate)
endforeach()
install(EXPORT threegate-targets NAMESPACE threegate:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/threegate)

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/threegate-config.cmake.in
  ${CMAKE_CURRENT_BINARY_DIR}/threegate-config.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/threegate)
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/threegate-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/threegate-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/threegate-config-version.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/threegate)

# threegate.pc has absolute paths, which end in the rpath of programs. `cmake --install --prefix` decides on them.
cmake_path(RELATIVE_PATH CMAKE_INSTALL_FULL_LIBDIR BASE_DIRECTORY ${CMAKE_INSTALL_PREFIX} OUTPUT_VARIABLE libdir)
cmake_path(RELATIVE_PATH CMAKE_INSTALL_FULL_INCLUDEDIR BASE_DIRECTORY ${CMAKE_INSTALL_PREFIX} OUTPUT_VARIABLE includedir)
set(prefix "@prefix@")
configure_file(${CMAKE_CURRENT_LIST_DIR}/threegate.pc.in ${CMAKE_CURRENT_BINARY_DIR}/threegate.pc.in @ONLY)
install(CODE "
  get_filename_component(prefix \"\${CMAKE_INSTALL_PREFIX}\" ABSOLUTE)
  configure_file(\"${CMAKE_CURRENT_BINARY_DIR}/threegate.pc.in\" \"${CMAKE_CURRENT_BINARY_DIR}/threegate.pc\" @ONLY)")
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/threegate.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
