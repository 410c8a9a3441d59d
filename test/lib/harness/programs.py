"""Programs of the host in a container, where busybox says or can do too little: iproute2, python3."""

WITH_PROGRAMS = ["--mount", "type=bind,src=/usr,dst=/host,options=rbind:ro"]
_RUN = "/host/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 --library-path /host/lib/x86_64-linux-gnu /host/bin/"
IP = f"{_RUN}ip"
PYTHON = f"exec env PYTHONHOME=/host {_RUN}python3 -S -c"
