//! What real PCs put on their streams beside what one asked for.

use encoding_rs::SHIFT_JIS;

/// Returns the progress record that PowerShell writes to standard error as CLIXML when it loads
/// a module for the first time.
pub(crate) fn progress(japanese: bool) -> String {
    let text = if japanese {
        "モジュールを初めて使用するための準備をしています。"
    } else {
        "Preparing modules for first use."
    };
    format!(
        "#< CLIXML\r\n<Objs Version=\"1.1.0.1\" \
         xmlns=\"http://schemas.microsoft.com/powershell/2004/04\"><Obj S=\"progress\" \
         RefId=\"0\"><TN RefId=\"0\"><T>System.Management.Automation.PSCustomObject</T>\
         <T>System.Object</T></TN><MS><I64 N=\"SourceId\">1</I64><PR N=\"Record\"><AV>{text}</AV>\
         <AI>0</AI><Nil /><PI>-1</PI><PC>-1</PC><T>Completed</T><SR>-1</SR><SD> </SD></PR></MS>\
         </Obj></Objs>"
    )
}

/// Returns a line that some agent prints into every new process, in the code page of the PC.
pub(crate) fn banner(japanese: bool) -> Vec<u8> {
    if japanese {
        oem("資産管理エージェント: 監視を開始しました\r\n", true)
    } else {
        b"AssetAgent: monitoring started\r\n".to_vec()
    }
}

/// Returns what a script's child process printed behind its back, without a line end.
pub(crate) fn chatter(japanese: bool) -> Vec<u8> {
    if japanese {
        oem("既定のプリンターがありません", true)
    } else {
        b"no default printer".to_vec()
    }
}

/// Encodes as the console of the PC does.
pub(crate) fn oem(text: &str, japanese: bool) -> Vec<u8> {
    if japanese {
        SHIFT_JIS.encode(text).0.into_owned()
    } else {
        text.chars()
            .map(|c| if c.is_ascii() { c as u8 } else { b'?' })
            .collect()
    }
}
