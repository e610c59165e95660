#!/bin/sh
# Install stnreg for the CPU, from a tree of the repository, into a folder of its own: the step of both containers that
# needs the network. Weights and the template MNI152 are inside; nothing is fetched when stnreg runs.
#     install.sh TREE FOLDER
set -eu
tree=$1 folder=$2
python3 -m venv "$folder"
STNREG_INSTALL=small "$folder/bin/pip" install --quiet --no-cache-dir --no-compile "$tree" 'h5py>=3.11'
# What runs nothing: tests of other packages, and the installer.
find "$folder" -type d \( -name tests -o -name __pycache__ \) -prune -exec rm -rf {} +
rm -rf "$folder"/lib/python3*/site-packages/pip "$folder"/lib/python3*/site-packages/pip-* \
    "$folder"/lib/python3*/site-packages/setuptools "$folder"/lib/python3*/site-packages/setuptools-* \
    "$folder"/lib/python3*/site-packages/pkg_resources "$folder"/lib/python3*/site-packages/_distutils_hack \
    "$folder"/lib/python3*/site-packages/distutils-precedence.pth "$folder"/bin/pip*
