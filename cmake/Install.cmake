# find_package(threegate) and pkg-config for the installed library, and licences.
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
# The licences of what is installed.
set(licensed libthreegate.so.${THREEGATE_SONAME} ${THREEGATE_OPENBLAS_FILES})
if(TARGET threegate_cuda)
  list(APPEND licensed libthreegate_cuda.so.${THREEGATE_SONAME})
endif()
execute_process(COMMAND ${CMAKE_CURRENT_LIST_DIR}/../licenses/collect ${CMAKE_CURRENT_BINARY_DIR}/documentation ${licensed}
  COMMAND_ERROR_IS_FATAL ANY)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/../licenses/THIRD-PARTY)
install(DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/documentation/licenses DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES ${CMAKE_CURRENT_LIST_DIR}/../LICENSE ${CMAKE_CURRENT_LIST_DIR}/../NOTICE DESTINATION ${CMAKE_INSTALL_DOCDIR})
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
