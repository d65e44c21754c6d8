from pathlib import Path
from tempfile import mkdtemp


class Writer:
    """A SummaryWriter that is opened with the first value of a fit, in a folder of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.writer = None

    def add_scalar(self, tag, scalar_value, global_step):
        if self.writer is None:
            from torch.utils.tensorboard import SummaryWriter

            Path(self.folder).mkdir(parents=True, exist_ok=True)
            self.writer = SummaryWriter(mkdtemp(dir=self.folder))
        self.writer.add_scalar(tag, scalar_value, global_step)

    def close(self):
        if self.writer is not None:
            self.writer.close()
            self.writer = None

    def __getstate__(self):  # for copies and pickles, as open files cannot be had twice
        return {"folder": self.folder, "writer": None}
