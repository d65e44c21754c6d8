"""Seconds per epoch of one autoencoder in a process of its own: skrec's, a plain loop, or a peer.

Run as a script by the Python that has the library, which need not have skrec::

    python epochs.py "RecBole MultiVAE" FOLDER --epochs 3
"""

import argparse
import contextlib
import json
import os
import tempfile
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np
from measure import peak_process, timed, versions
from scipy import sparse

HIDDEN, LATENT, BATCH = 600, 200, 500
# Users of an update where users and items meet in pairs, a hundred times as many.
FEW = 32
_CODES = {"n_components": LATENT, "batch_size": BATCH}
_LAYERS = {**_CODES, "hidden_layer_sizes": (HIDDEN,)}
_GRAPH = {"n_components": 64, "n_layers": 3, "loss": "bpr", "n_negatives": 1, "batch_size": BATCH}
# What skrec's models are made with, so that they and their peers have layers and batches alike.
SIZES = {
    "MultVAE": _LAYERS,
    "MultDAE": _LAYERS,
    "RecVAE": {**_CODES, "hidden_layer_sizes": 5 * (HIDDEN,)},
    "EnhancedVAE": _LAYERS,
    "NBVAE": _LAYERS,
    "RaCT": {**_LAYERS, "n_actor_epochs": 1, "n_critic_epochs": 1},
    "AdversarialVAE": _LAYERS,
    "VAEAC": _LAYERS,
    "FLVAE": {**_LAYERS, "decoder_layer_sizes": (HIDDEN,)},
    "VASP": {**_LAYERS, "decoder_layer_sizes": (HIDDEN,)},
    "NeuralEASE": {"batch_size": BATCH},
    "CDAE": _CODES,
    "ELSA": _CODES,
    "LightGCN": _GRAPH,
    "NGCF": _GRAPH,
    "BPR": {"n_components": 64, "n_negatives": 1, "batch_size": FEW},
    "NeuMF": {
        "n_components": 32,
        "hidden_layer_sizes": (64, 32, 16),
        "n_negatives": 4,
        "batch_size": FEW,
    },
    "ConvNCF": {"n_components": 16, "n_channels": 8, "n_negatives": 1, "batch_size": FEW},
}


class Worker(NamedTuple):
    """How one autoencoder is trained.

    ``train(X, n_epochs, device)`` returns the seconds of each epoch but the first, in which
    libraries start their threads.
    """

    module: str
    distribution: str
    train: callable
    counterpart: str  # skrec's model that does the same


def skrec(name, **changes):
    """One of skrec's models at its sizes; RaCT in its last phase, after an epoch of the others."""

    def train(X, n_epochs, device):
        import torch
        from skorch.callbacks import Callback

        import skrec

        ends = []

        class Clock(Callback):
            def on_epoch_end(self, net, **kwargs):
                if device == "cuda":
                    torch.cuda.synchronize()
                ends.append(perf_counter())

        n_before = 2 if name == "RaCT" else 0
        model = getattr(skrec, name)(
            max_iter=n_before + n_epochs,
            early_stopping=False,
            callbacks=[Clock()],
            device=device,
            random_state=0,
            **{**SIZES[name], **changes},
        )
        model.fit(X)
        return np.diff(ends)[n_before:]

    return train


def plain(name):
    def train(X, n_epochs, device):
        import plain_torch
        import torch

        torch.manual_seed(0)
        return np.diff(getattr(plain_torch, name)(X, n_epochs, device)[0])

    return train


def cornac(X, n_epochs, device):
    from cornac.data import Dataset
    from cornac.models import VAECF

    # By hand, because Dataset.from_uir leaves out items that nobody has.
    ids = [{str(i): i for i in range(n)} for n in X.shape]
    data = Dataset(*X.shape, *ids, (*X.nonzero(), X.data))
    data.csr_matrix  # noqa: B018, it is made at the first use

    def seconds(n_epochs):
        model = VAECF(
            k=LATENT,
            autoencoder_structure=[HIDDEN],
            act_fn="tanh",
            likelihood="mult",
            n_epochs=n_epochs,
            batch_size=BATCH,
            learning_rate=0.001,
            beta=0.2,
            use_gpu=device == "cuda",
        )
        return timed(lambda: model.fit(data))[1]

    first = seconds(1)
    return [(seconds(n_epochs) - first) / (n_epochs - 1)]


def recpack(name):
    def train(X, n_epochs, device):
        from recpack import algorithms

        X = sparse.csr_matrix(X)
        # The last epoch is kept because torch no longer reads what it pickles of the best one.
        model = getattr(algorithms, name)(
            batch_size=BATCH,
            max_epochs=n_epochs,
            dim_hidden_layer=HIDDEN,
            dim_bottleneck_layer=LATENT,
            seed=0,
            keep_last=True,
        )
        few = sparse.vstack([X[:10], sparse.csr_matrix((X.shape[0] - 10, X.shape[1]))], "csr")
        times = record_times(model, "_train_epoch", device)
        model.fit(X, validation_data=(few, few))
        return times[1:]

    return train


# RecBole's names of the same sizes; it counts the pairs of an update, drawn negatives included.
_RECBOLE_LAYERS = {"mlp_hidden_size": [HIDDEN], "latent_dimension": LATENT}
RECBOLE_SIZES = {
    # which counts mean and log variance together
    "MultiVAE": {**_RECBOLE_LAYERS, "latent_dimension": 2 * LATENT},
    "MultiDAE": _RECBOLE_LAYERS,
    "RecVAE": {"hidden_dimension": HIDDEN, "latent_dimension": LATENT},
    "RaCT": {**_RECBOLE_LAYERS, "latent_dimension": 2 * LATENT},
    "CDAE": {"embedding_size": LATENT},
    "LightGCN": {"embedding_size": 64, "n_layers": 3},
    "NGCF": {"embedding_size": 64, "hidden_size_list": [64, 64, 64]},
    "BPR": {"embedding_size": 64},
    "NeuMF": {
        "mf_embedding_size": 32,
        "mlp_embedding_size": 32,
        "mlp_hidden_size": [64, 32, 16],
    },
    "ConvNCF": {
        "embedding_size": 16,
        "cnn_channels": [1, 8, 8, 8, 8],
        "cnn_kernels": [2, 2, 2, 2],
        "cnn_strides": [2, 2, 2, 2],
    },
}
# Users of an update, negatives of a choice, and whether these are pairs of their own.
RECBOLE_PAIRS = {
    "LightGCN": (BATCH, 1, 0),
    "NGCF": (BATCH, 1, 0),
    "BPR": (FEW, 1, 0),
    "NeuMF": (FEW, 4, 1),
    "ConvNCF": (FEW, 1, 0),
}


def recbole(name):
    def train(X, n_epochs, device):
        # The library writes its logs into the working directory.
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            return train_there(X, n_epochs, device)

    def train_there(X, n_epochs, device):
        import torch
        from recbole.config import Config
        from recbole.data import create_dataset, data_preparation
        from recbole.utils import get_model, get_trainer

        write_atomic_files(X, Path("data/X"))
        batch, negatives = BATCH, None
        if name in RECBOLE_PAIRS:
            n_users, n_negatives, are_pairs = RECBOLE_PAIRS[name]
            batch = round(n_users * X.nnz / X.shape[0]) * (n_negatives + are_pairs)
            negatives = {"distribution": "uniform", "sample_num": n_negatives}
        options = {
            "data_path": "data",
            "load_col": {"inter": ["user_id", "item_id"], "item": ["item_id"]},
            "eval_args": {"split": {"RS": [1, 0, 0]}, "order": "RO", "group_by": "user"},
            "epochs": n_epochs,
            "train_batch_size": batch,
            "train_neg_sample_args": negatives,
            "use_gpu": device == "cuda",
            "show_progress": False,
            "state": "ERROR",
            "pre_model_path": "start.pth",
            **RECBOLE_SIZES[name],
        }
        config = Config(model=name, dataset="X", config_dict=options)
        train_data, _, _ = data_preparation(config, create_dataset(config))
        torch.manual_seed(0)
        model = get_model(name)(config, train_data.dataset).to(config["device"])
        assert model.n_items == X.shape[1] + 1  # one of padding
        if name == "RaCT":  # the last stage, which wants to start from what others have left
            torch.save({"state_dict": model.state_dict()}, "start.pth")
            config["train_stage"] = "finetune"
            model = get_model(name)(config, train_data.dataset).to(config["device"])
        trainer = get_trainer(config["MODEL_TYPE"], name)(config, model)
        times = record_times(trainer, "_train_epoch", device)
        trainer.fit(train_data, saved=False, verbose=False)
        return times[1:]

    return train


def write_atomic_files(X, folder):
    """Write RecBole's files, with a list of all items, those that nobody has included."""
    folder.mkdir(parents=True)
    pairs = np.transpose(X.nonzero())
    header = "user_id:token\titem_id:token"
    np.savetxt(folder / "X.inter", pairs, "%d", "\t", header=header, comments="")
    np.savetxt(folder / "X.item", np.arange(X.shape[1]), "%d", header="item_id:token", comments="")


def record_times(owner, method, device):
    """Have the seconds of each call of a method recorded in the list that is returned."""
    import torch

    call, times = getattr(owner, method), []

    def timed_call(*args, **kwargs):
        start = perf_counter()
        answer = call(*args, **kwargs)
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(perf_counter() - start)
        return answer

    setattr(owner, method, timed_call)
    return times


def _ours(name):
    return Worker("skrec", "skrec", skrec(name), name)


def _recbole(name, ours):
    return Worker("recbole", "recbole", recbole(name), ours)


WORKERS = {
    "skrec MultVAE": _ours("MultVAE"),
    "plain sparse loop": Worker("skrec", "torch", plain("sparse_loop"), "MultVAE"),
    "plain dense loop": Worker("torch", "torch", plain("dense_loop"), "MultVAE"),
    "RecBole MultiVAE": _recbole("MultiVAE", "MultVAE"),
    "Cornac VAECF": Worker("cornac", "cornac", cornac, "MultVAE"),
    "RecPack MultVAE": Worker("recpack", "recpack", recpack("MultVAE"), "MultVAE"),
    "RecPack RecVAE": Worker("recpack", "recpack", recpack("RecVAE"), "RecVAE"),
    "RecBole MultiDAE": _recbole("MultiDAE", "MultDAE"),
    **{
        f"RecBole {name}": _recbole(name, name)
        for name in ("RecVAE", "RaCT", "CDAE", "LightGCN", "NGCF", "BPR", "NeuMF", "ConvNCF")
    },
    **{f"skrec {name}": _ours(name) for name in SIZES if name != "MultVAE"},
    # To compare with those that take so few.
    f"skrec MultVAE, {FEW} users": Worker(
        "skrec", "skrec", skrec("MultVAE", batch_size=FEW), None
    ),
}


def run(name, folder, n_epochs, device):
    worker = WORKERS[name]
    X = sparse.csr_array(sparse.load_npz(folder / "train.npz"))
    times = worker.train(X, 1 + n_epochs, device)
    answer = {
        "version": versions([worker.distribution])[worker.distribution],
        "times": [float(seconds) for seconds in times],
        "peak_process": peak_process(),
        "peak_gpu": None,
    }
    if device == "cuda":
        import torch

        answer["peak_gpu"] = torch.cuda.max_memory_allocated()
    return answer


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=WORKERS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    args = parser.parse_args()
    if args.device == "cpu":
        # Some libraries take a GPU wherever there is one.
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    answer = run(args.name, args.folder.resolve(), args.epochs, args.device)
    (args.folder / "answer.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
